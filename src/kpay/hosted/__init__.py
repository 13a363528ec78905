"""The hosted page: where a payer chooses how to pay, waits for the end, and goes back."""

PREFIX = "/gateway/"
