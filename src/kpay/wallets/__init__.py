"""Wallets: what an application holds in each country."""
