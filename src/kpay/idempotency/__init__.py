"""Requests that are answered the same however often they are sent: the Idempotency-Key."""
