"""Exchange rates: what one currency is worth in another, from whom we know it, and since when.

`flow.Rates` is what others call; `model` holds the values and the arithmetic; `sources` asks the
outside and `answers` reads what it says; `store` keeps every answer that was used, because an old
conversion is recomputed from its evidence.
"""
