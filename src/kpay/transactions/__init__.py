"""Transactions: payments, payouts, transfers and refunds as one list, and the story of each."""
