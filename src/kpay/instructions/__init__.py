"""Instructions: what a rail is told for a payment, payout or refund, and how far it is."""
