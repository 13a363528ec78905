"""Instructions: what a rail is told for a payment or a payout, and how far it has come."""
