"""The merchants' servers that hear webhooks: what they truly heard, and what they said to it.

They take the place of the program's connections to the web. One fails for a while, is dead, hears
and answers too late, refuses for good now and then, or asks to be left alone.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from kpay.core.ids import parse_public_id
from kpay.database.pool import outside_transaction
from kpay.events.model import OPERATION_PREFIXES, PREFIX
from kpay.webhooks.model import Answer
from simulator.operations import Shop
from simulator.rail import numbered
from simulator.transcript import Transcript
from simulator.turns import Seat, Turns

# Of this machine itself, which the sandbox may call; no connection is ever made there.
_ADDRESS = "http://127.0.0.1:9"
_TOO_LATE_SECONDS = 3.0
# The seconds that a receiver asks to be left alone for.
_PATIENCE = ("1", "30", "400")


class Mood(Enum):
    """How a receiver is at present."""

    SOUND = "sound"
    FAILING = "failing"
    SLOW = "slow"
    DEAD = "dead"


class Manner(Enum):
    """How a receiver takes one webhook."""

    TAKEN = "taken"
    REFUSED = "refused for good"
    FAILED = "answered with an error"
    PUT_OFF = "asked for later"
    TOO_LATE = "heard and answered too late"
    LOST = "never heard"


_MANNERS = {
    Mood.SOUND: {Manner.TAKEN: 84, Manner.REFUSED: 2, Manner.FAILED: 6, Manner.TOO_LATE: 4}
    | {Manner.LOST: 4},
    Mood.FAILING: {Manner.FAILED: 80, Manner.PUT_OFF: 10, Manner.TAKEN: 10},
    Mood.SLOW: {Manner.TOO_LATE: 90, Manner.TAKEN: 10},
    Mood.DEAD: {Manner.LOST: 100},
}
_STATUSES = {Manner.TAKEN: 204, Manner.REFUSED: 410, Manner.FAILED: 500, Manner.PUT_OFF: 503}


@dataclass(eq=False)
class Heard:
    """What a receiver knows of one event, by the numbers of its dealings in their order."""

    first: int
    settled: int | None = None
    """When the program was told for the first time that it need not be sent again."""
    taken: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Letter:
    """One webhook as it was heard."""

    shop: Shop
    event_id: UUID
    event: str
    body: dict[str, Any]


@dataclass(eq=False)
class _Receiver:
    shop: Shop
    secret: str
    mood: Mood = Mood.SOUND


class Receivers:
    """Every receiver, and all that was ever heard."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._receivers: dict[str, _Receiver] = {}
        self._dealings = 0
        self.count = 0
        """How often anything was heard."""
        self.honest = False
        self.heard: dict[UUID, Heard] = {}
        self.letters: list[Letter] = []
        """What was heard since somebody last looked."""
        self.wrongs: list[str] = []
        """What was sent that nobody may send."""

    def open(self, shop: Shop, topic: str, secret: str) -> str:
        """A new receiver. Returns its address."""
        url = f"{_ADDRESS}/{shop.name.replace(' ', '-')}/{topic}"
        self._receivers[url] = _Receiver(shop, secret)
        return url

    def change_mood(self) -> str:
        url = self._random.choice(list(self._receivers))
        receiver = self._receivers[url]
        receiver.mood = self._random.choice([Mood.SOUND, Mood.SOUND, *Mood])
        return f"the receiver {url.removeprefix(_ADDRESS)} is {receiver.mood.value}"

    def hear(self, url: str, headers: Any, body: bytes) -> tuple[Manner, Answer, UUID | None]:
        """A webhook has come to where it was sent, or is lost here."""
        receiver = self._receivers[url]
        manners = _MANNERS[Mood.SOUND if self.honest else receiver.mood]
        manner = self._random.choices(list(manners), list(manners.values()))[0]
        if self.honest:
            manner = Manner.TAKEN
        if manner is Manner.LOST:
            return manner, Answer(None, 5, error="The connection was refused."), None
        self._dealings += 1
        self.count += 1
        event_id = self._read(receiver, headers, body)
        if event_id is not None:
            heard = self.heard.setdefault(event_id, Heard(self._dealings))
            heard.taken |= manner is Manner.TAKEN
            heard.refused |= manner is Manner.REFUSED
        if manner is Manner.TOO_LATE:
            milliseconds = round(_TOO_LATE_SECONDS * 1_000)
            return manner, Answer(None, milliseconds, error="No answer within 3 seconds."), event_id
        later = self._random.choice(_PATIENCE) if manner is Manner.PUT_OFF else None
        answer = Answer(_STATUSES[manner], self._random.randint(1, 900), retry_after=later)
        return manner, answer, event_id

    def told(self, event_id: UUID | None, answer: Answer) -> None:
        """An answer has reached a process of ours."""
        self._dealings += 1
        if event_id is None or answer.status is None:
            return
        heard = self.heard[event_id]
        if heard.settled is None and (heard.taken or heard.refused) and answer.status < 500:
            heard.settled = self._dealings

    def _read(self, receiver: _Receiver, headers: Any, body: bytes) -> UUID | None:
        """Keep what was sent, if it is signed as it must be."""
        signature = hmac.new(receiver.secret.encode(), body, hashlib.sha256).hexdigest()
        event_id = parse_public_id(PREFIX, headers["webhook-id"])
        if event_id is None or headers["X-KPAY-Signature"] != signature:
            self.wrongs.append(f"{headers} is not signed as what {receiver.shop.name} hears is")
            return None
        read = msgspec.json.decode(body)
        self.letters.append(Letter(receiver.shop, event_id, headers["X-KPAY-Event"], read))
        return event_id


class HookPort:
    """The receivers as the courier of one process reaches them: in the place of its `Post`.

    What is sent and what comes back are two calls.
    """

    within = _TOO_LATE_SECONDS

    def __init__(
        self, receivers: Receivers, seat: Seat, turns: Turns, transcript: Transcript
    ) -> None:
        self._receivers = receivers
        self._seat = seat
        self._turns = turns
        self._transcript = transcript

    async def send(self, url: str, headers: Any, body: bytes) -> Answer:
        outside_transaction()
        what = f"{headers['X-KPAY-Event']} of {_number(body)}"

        async def hear() -> tuple[Answer, UUID | None]:
            manner, answer, event_id = self._receivers.hear(url, headers, body)
            self._transcript.operation(f"{self._seat.name} sends {what}: {manner.value}")
            return answer, event_id

        answer, event_id = await self._turns.take(self._seat, "hook", what, hear)

        async def come() -> None:
            self._receivers.told(event_id, answer)

        await self._turns.take(self._seat, "hook answer", what, come)
        return answer

    async def close(self) -> None:
        """There is no connection to close."""


def _number(body: bytes) -> int:
    """What the transcript calls the operation of a webhook: its identifier's number in the run."""
    read = msgspec.json.decode(body)
    prefix = OPERATION_PREFIXES[read["event"].partition(".")[0]]
    identifier = parse_public_id(prefix, read["paymentId"])
    return 0 if identifier is None else numbered(identifier)
