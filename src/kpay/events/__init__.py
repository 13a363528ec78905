"""Events: what a merchant must hear about, recorded with what caused it."""
