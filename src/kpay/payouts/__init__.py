"""Payouts: from a wallet to any phone in any country. The API says withdrawal."""
