"""The PostgreSQL server that lives under KPAY_HOME.

`EmbeddedServer.attach` starts it or finds it running; `release` stops it when nobody else uses it.
Every decision to start or stop is made while `start.lock` is held, and every process that uses the
server holds a share of `users.lock`. The kernel drops both when a process dies, however it dies,
so nothing on disk can say that a process is there which is not. Passwords are always asked for,
and the server listens on a Unix socket only.

`server` tells the story from top to bottom; the other files are its parts.
"""

from kpay.database.embedded.cluster import PROGRAM_ROLE
from kpay.database.embedded.messages import EmbeddedServerError
from kpay.database.embedded.server import EmbeddedServer, as_program

__all__ = ["PROGRAM_ROLE", "EmbeddedServer", "EmbeddedServerError", "as_program"]
