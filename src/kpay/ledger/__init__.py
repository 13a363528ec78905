"""The ledger: accounts, entries, postings, every way money can move, and the poster."""
