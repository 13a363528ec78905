"""What the operator's own programs read: the commands' `--json`, and the same over HTTP."""
