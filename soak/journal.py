"""What was sent and what was answered, and what that says of each operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from soak.operations import Wanted

OK = 200
CREATED = 201
CONFLICT = 409
UNAVAILABLE = 503
_IN_PROGRESS = "idempotency_in_progress"
_PASSING = ("status", "message")


def lasting(body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without what it says of the moment, and not of the operation."""
    return {name: value for name, value in body.items() if name not in _PASSING}


class Defect(AssertionError):
    """The program broke a promise; the message says which and of what operation."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Its status is 0 where none came: what became of the request is not known."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_decided(self) -> bool:
        """Whether it says what became of the operation. A 503 does not: it may be on record.

        Nor does it say so that another request with the same key is being carried out.
        """
        return self.status not in (0, UNAVAILABLE) and self.body.get("code") != _IN_PROGRESS


@dataclass(slots=True)
class Record:
    """One operation and every answer to it, in the order in which they came.

    `recalls` are the answers to its cancellation, and `is_cancelled` is what the program's list
    says of it. `repeats` counts how often it was sent again with its key and answered the same.
    """

    wanted: Wanted
    answers: list[Answer] = field(default_factory=list)
    recalls: list[Answer] = field(default_factory=list)
    is_cancelled: bool = False
    repeats: int = 0

    @property
    def acknowledged(self) -> Mapping[str, Any] | None:
        """The body of its 201, once it has one."""
        last = self.answers[-1] if self.answers else None
        return last.body if last is not None and last.status == CREATED else None

    @property
    def id(self) -> str | None:
        """What the program calls it, from the 201 or from the 409 that names it."""
        if self.acknowledged is not None:
            return str(self.acknowledged["id"])
        last = self.answers[-1] if self.answers else None
        if last is None or last.status != CONFLICT:
            return None
        return str(last.body.get("existingId"))

    @property
    def is_decided(self) -> bool:
        return bool(self.answers) and self.answers[-1].is_decided

    @property
    def may_be_cancelled(self) -> bool:
        """Whether a cancellation was told to have happened, or may have happened unheard."""
        return any(answer.status in (OK, 0, UNAVAILABLE) for answer in self.recalls)

    @property
    def must_be_cancelled(self) -> bool:
        """Whether a cancellation was acknowledged."""
        return any(answer.status == OK for answer in self.recalls)

    def add_recall(self, answer: Answer) -> None:
        """Keep an answer to its cancellation. Raises Defect where it cannot be one."""
        self.recalls.append(answer)
        if answer.status not in (OK, CONFLICT, 0, UNAVAILABLE):
            raise Defect(f"the cancellation of {self.wanted} was answered {answer}")

    def add(self, answer: Answer) -> None:
        """Keep an answer. Raises Defect where no program that keeps its promises says so."""
        self.answers.append(answer)
        if answer.status in (CREATED, 0, UNAVAILABLE):
            return
        # Only what was sent before, without an answer, can be on record already, or be under way;
        # and one with a key is answered then as it was, or would have been.
        again = answer.status == CONFLICT and len(self.answers) > 1
        if again and answer.is_decided is not self.wanted.is_keyed:
            return
        raise Defect(f"{self.wanted} was answered {answer} after {self.answers[:-1]}")

    def add_repeat(self, answer: Answer) -> None:
        """Keep an answer to what was acknowledged. Raises Defect where it is not the same again.

        Where what was answered could not be kept, its key is held for a while longer, and says so.
        """
        if not answer.is_decided:
            return
        told = self.acknowledged or {}
        if answer.status != CREATED or lasting(answer.body) != lasting(told):
            raise Defect(f"{self.wanted} was answered {told}, and to the same key {answer}")
        self.repeats += 1


class Journal:
    """Every operation of a soak, by merchant and externalId."""

    def __init__(self) -> None:
        self._records: dict[tuple[int, str], Record] = {}

    def open(self, wanted: Wanted) -> Record:
        key = (wanted.merchant, wanted.external_id)
        if key in self._records:
            raise ValueError(f"{key} is used twice")
        record = self._records[key] = Record(wanted)
        return record

    def find(self, merchant: int, external_id: str) -> Record | None:
        return self._records.get((merchant, external_id))

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    @property
    def acknowledged(self) -> int:
        """How many operations have their 201."""
        return sum(record.acknowledged is not None for record in self)

    @property
    def undecided(self) -> list[Record]:
        """Those that were sent and of which nothing is known."""
        return [record for record in self if record.answers and not record.is_decided]
