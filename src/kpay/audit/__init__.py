"""The audit log: who did what, from where, to what. It is only ever added to."""
