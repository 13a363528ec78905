"""A rail that misbehaves on purpose, a server of its own: it speaks pawaPay's v2 wire.

It knows nothing of the code that will speak to it, so that the two sides of the wire are written
from the operator's documents and not from each other: it imports `core/`, `catalogue/` and itself.

From the rules outwards: `books` (what became of money), `wire` (the shapes), `account` (what this
merchant may do), `misbehaviour` and `scenario` (what goes wrong), `signatures`, `agenda` (what is
due when), `callbacks`, `lives` (of operations), `rail` (what it answers), `statements`, `corner`
and `server` (HTTP).
"""
