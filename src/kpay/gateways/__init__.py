"""Gateways: the address at which a payer or a beneficiary opens one operation's hosted page."""
