"""What happened to a wallet: every movement with its operation, and statements that add up."""
