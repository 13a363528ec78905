"""The simulator: seeded lives of the whole program, against an account of what must be true.

Two processes of the real program share a real database. Everything else is of the seed: the
merchants, the rails, the sources of rates, the time, who goes first, and where a process dies.
`docs/simulator.md` says how to run it and how to read what it finds.

| File | What it holds |
|---|---|
| `simulation.py` | one run: its steps and its end |
| `turns.py`, `loop.py` | who goes next, and an event loop on which nothing else decides that |
| `process.py`, `ports.py` | a process of the program, its death, and its way to the database |
| `acts.py`, `asking.py` | what happens in a step, and how a process is asked for it |
| `merchants.py`, `payers.py`, `receivers.py` | who asks, who opens pages, who hears of it |
| `rail.py`, `feed.py`, `clock.py`, `ids.py` | the rest of the world around it |
| `oracle.py`, `deliveries.py`, `books.py`, `prices.py`, `operations.py` | what must be true |
| `checks.py`, `reading.py` | what is |
"""
