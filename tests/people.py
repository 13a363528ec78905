"""People in tests: hashed cheaply, with an app that makes their codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pyotp
import pytest

from kpay.app import House
from kpay.audit.model import Actor, AuditFilter, Entry
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.people.flow import People
from kpay.people.model import OperatorRole, Role, Session, SignedIn
from kpay.people.passwords import Cost, Passwords

HERE, THERE = "192.0.2.1", "198.51.100.7"
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"
PASSWORD = "correct horse battery"
ANOTHER = "staple of quite another sort"
COMMAND = Actor(command="kpay person, by a test")
CHEAP = Cost(passes=1, memory_kib=8, lanes=1)


def people_of(house: House, cost: Cost = CHEAP) -> People:
    """The house's people, with passwords that cost as little as can be."""
    return People(
        house.database,
        house.vault,
        house.clock,
        house.ids,
        house.audit,
        public_url=house.settings.public_url,
        passwords=Passwords(cost),
    )


@contextmanager
def refused(code: Code) -> Iterator[None]:
    """Something that is refused with a code."""
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.code is code


class Office:
    """A company's people and the operator's, who sign in when they are asked for."""

    def __init__(self, house: House, people: People, clock: ManualClock) -> None:
        self.house = house
        self.people = people
        self.clock = clock
        self.apps: dict[UUID, pyotp.TOTP] = {}

    async def hire(self, name: str, role: Role = Role.OWNER, company: str = "Acme") -> UUID:
        """A person of a company, whose email is the name's at example.com."""
        person, _ = await self.people.staff.create(
            COMMAND,
            company_name=company,
            email=email_of(name),
            name=name.title(),
            role=role,
            password=PASSWORD,
        )
        return person.id

    async def employ(self, name: str, role: OperatorRole) -> UUID:
        """One of the operator's own staff."""
        person, _ = await self.people.staff.set_operator(
            COMMAND, email=email_of(name), name=name.title(), role=role, password=PASSWORD
        )
        return person.id

    async def sign_in(
        self,
        name: str,
        password: str = PASSWORD,
        *,
        address: str | None = HERE,
        device: str | None = None,
    ) -> SignedIn:
        return await self.people.sign_in(
            email_of(name), password, address=address, agent=AGENT, device=device
        )

    async def session(self, name: str) -> Session:
        """A person who has just signed in with the password."""
        return await self.of((await self.sign_in(name)).token)

    async def of(self, token: str) -> Session:
        """The session of a token that holds."""
        session = await self.people.session(token)
        assert session is not None
        return session

    async def ended(self, token: str) -> bool:
        return await self.people.session(token) is None

    async def set_up(self, session: Session) -> list[str]:
        """Give a person an app. Returns the recovery codes; the clock is at the next time step."""
        offer = await self.people.accounts.offer_second_factor(session, PASSWORD)
        app = self.apps[session.person.id] = pyotp.TOTP(offer.secret)
        codes = await self.people.accounts.confirm_second_factor(session, app.at(self.clock.now()))
        self.clock.advance(seconds=30)
        return codes

    def code(self, person_id: UUID, *, steps: int = 0) -> str:
        """What the person's app shows now, or so many time steps later."""
        return self.apps[person_id].at(self.clock.now() + steps * timedelta(seconds=30))

    async def company(self, name: str = "Acme") -> UUID:
        found: UUID = await self.house.database.fetchval(
            "select id from companies where name = $1", name
        )
        return found

    async def log(self, **wanted: object) -> list[Entry]:
        """The audit log, the latest first."""
        return await self.house.audit.page(AuditFilter(limit=100, **wanted))  # type: ignore[arg-type]


def email_of(name: str) -> str:
    return f"{name}@example.com"
