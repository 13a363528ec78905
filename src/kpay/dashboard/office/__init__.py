"""The operator's own back office: its staff look at every company, and change what is theirs to."""
