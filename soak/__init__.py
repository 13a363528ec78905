"""The soak: the real program is killed under load, again and again, and its books are compared.

A merchant's side is played over real HTTP and keeps a journal of what it sent and what it was told.
At a moment that the seed decides, counted in answers, one of the program's processes is killed with
SIGKILL. Whatever was started again by hand in a real house is started again here, and nothing else
is touched. Then everything that was acknowledged must be there once, as it was answered; whatever
was not must be there whole or not at all; and everything must end by itself.

| File | What it holds |
|---|---|
| `operations.py` | what is asked for, drawn from the seed, and what each is worth: pure |
| `journal.py` | what was sent and answered, and what that says of each operation: pure |
| `books.py` | the balances that must follow, by none of the program's code: pure |
| `client.py` | the merchants, over HTTP |
| `load.py` | many operations at once, counted |
| `processes.py` | the program's processes, and which of them is killed |
| `reading.py` | what the program says afterwards, held against the journal |
| `rounds.py` | the story of a round and of a soak |
| `payouts.py`, `rail_books.py` | the program against the rail at its worst; three books compared |
| `rail.py` | a scripted merchant against the same rail, without the program |

`make kill ROUNDS=50` runs it; `tests/system/test_kill.py` runs a few rounds of it.
`make rails PAYOUTS=20000` pays out by the rail simulator.
"""
