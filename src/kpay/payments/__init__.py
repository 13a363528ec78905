"""Payments: mobile money collected from a payer into the wallet of the provider's country."""
