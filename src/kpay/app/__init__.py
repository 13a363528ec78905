"""The one place where everything is put together: settings → database → flows → server, worker.

`parts.py` makes the flows and what they stand on, floor by floor; `edge.py` shows them to programs
and payers, `dashboard.py` to the people of companies and of the operator; `house.py` opens, serves
and closes the whole.
"""

from kpay.app.house import House, asgi

__all__ = ["House", "asgi"]
