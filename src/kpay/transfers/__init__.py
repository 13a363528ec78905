"""Transfers: from one country's wallet to another's, converted where the currencies differ."""
