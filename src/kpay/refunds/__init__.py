"""Refunds: what a payer has paid, given back whole from the wallet that it was credited to."""
