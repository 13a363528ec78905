"""The API's own route table, for tests that must not forget a route that is added one day."""

from __future__ import annotations

from pathlib import Path

from kpay.app import House
from kpay.core.routes import Route
from kpay.settings import Settings


def house_of_routes() -> House:
    """A house that was put together and never opened: nothing is connected to."""
    return House(
        Settings(home=Path("/nowhere"), database_url="postgresql://nowhere/kpay", secret="s" * 32)
    )


def route_table() -> list[Route]:
    """The routes of such a house."""
    return house_of_routes().routes()


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"
