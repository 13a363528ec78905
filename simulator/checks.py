"""Holds what the database has against the oracle: after each step, in full now and then."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from kpay.verify import verify
from simulator.deliveries import Deliveries
from simulator.merchants import Merchants
from simulator.operations import Answer, Kind, Operation, Violation
from simulator.oracle import Oracle
from simulator.reading import Reader
from simulator.receivers import Receivers
from simulator.turns import ProcessDied

# What the program logs when something went wrong that it has no word for.
_ALARMS = frozenset(
    {
        "posting_failed",
        "attempt_failed",
        "request_failed",
        "webhook_failed",
        "webhook_without_operation",
    }
)
# Few enough for one of them to be given back again and again.
_REFUNDED_AMONG = 6
# Few enough for a page to be chosen on again and again.
_PAGES_AMONG = 5


class Checks:
    """What is looked at, in its order: the log, who exists, how each stands, what accounts hold."""

    def __init__(
        self,
        oracle: Oracle,
        reader: Reader,
        merchants: Merchants,
        receivers: Receivers,
        logs: list[MutableMapping[str, Any]],
    ) -> None:
        self._oracle = oracle
        self._reader = reader
        self._merchants = merchants
        self.deliveries = Deliveries(receivers, oracle.by_id)
        self._logs = logs
        self._unsettled: list[Operation] = []
        self._answered: list[Operation] = []
        self._seen = 0
        self.pauses = 0

    def payments(self, *, complete: bool) -> list[Operation]:
        """The latest payments that are on record and complete, or not, oldest first."""
        payments = [
            one
            for one in self._oracle.by_id.values()
            if one.kind is Kind.PAYMENT and (one.status == "COMPLETED") == complete
        ]
        return payments[-_REFUNDED_AMONG:]

    @property
    def open(self) -> list[Operation]:
        """The payments, payouts and refunds that have not ended, oldest first."""
        return [operation for operation in self._oracle.by_id.values() if operation.open]

    def pages(self, *, choosing: bool) -> list[Operation]:
        """The latest operations with a page, or those that can be chosen on, oldest first."""
        pages = [
            one
            for one in self._oracle.by_id.values()
            if one.hosted and (one.status == "PENDING" or not choosing)
        ]
        return pages[-_PAGES_AMONG:]

    async def after_step(self) -> None:
        self._read_log()
        await self._find_new()
        await self._follow()
        self._oracle.check_answers(self._answered, self._merchants.operations)
        self._oracle.check_keys(self._merchants.operations)
        self._oracle.check_claims(self._oracle.by_id.values())
        self._oracle.check_ends(self._oracle.by_id.values())
        self._oracle.check_accounts(await self._reader.accounts())
        self._oracle.check_counts(await self._reader.counts())
        waiting, last = self.deliveries.waiting, self.deliveries.last
        self.deliveries.read(await self._reader.deliveries(waiting, last))
        self.deliveries.check_letters()

    async def verify(self, url: str) -> None:
        """Every check of the program's own."""
        broken = [finding async for finding in verify(url) if finding.broken]
        if broken:
            raise Violation(f"verify finds {broken[0].check.name}: {broken[0].rows}")

    async def at_the_end(self) -> None:
        """All has ended; whatever spoke against an end is kept with its attempt."""
        for operation in self._oracle.by_id.values():
            for reference, wanted in self._oracle.evidence(operation).items():
                record = operation.record
                kept = [] if record is None else await self._reader.outcomes(record.id, reference)
                if wanted not in kept:
                    raise Violation(
                        f"{operation} is {operation.status}; that the rail said {wanted} is not "
                        "kept"
                    )
        self.deliveries.check_all_taken()
        self._oracle.check_providers(await self._reader.accounts())
        if self._unsettled:
            raise Violation(f"nobody answered {self._unsettled[0]}")

    @property
    def contradictions(self) -> int:
        return sum(self._oracle.contradicted(one) for one in self._oracle.by_id.values())

    def _read_log(self) -> None:
        alarms = [
            line
            for line in self._logs
            # Who dies says so to nobody.
            if line["event"] in _ALARMS and not isinstance(line.get("exc_info"), ProcessDied)
        ]
        self.pauses += sum(line["event"] == "webhook_endpoint_paused" for line in self._logs)
        self._logs.clear()
        if alarms:
            raise Violation(f"the program logs {alarms[0]}")

    async def _find_new(self) -> None:
        """What was asked for and is on record now; what will never be."""
        before = dict(self._oracle.books.accounts)
        asked = self._merchants.operations[self._seen :]
        appeared = []
        again, self._merchants.sent_again = self._merchants.sent_again, []
        self._unsettled += asked
        self._unsettled += [one for one in dict.fromkeys(again) if one not in self._unsettled]
        self._seen += len(asked)
        self._answered = [one for one in self._unsettled if one.answer is not Answer.NONE]
        for kind in Kind:
            wanted = {one.token: one for one in self._unsettled if one.kind is kind}
            missing = [token for token, one in wanted.items() if one.record is None]
            for token, record in await self._reader.records(kind, missing):
                self._oracle.appeared(wanted[token], record)
                appeared.append(wanted[token])
        self._oracle.check_refusals(asked, appeared, before)
        for one in self._unsettled:
            if not one.under_way:
                self._oracle.settle(one)
        self._unsettled = [one for one in self._unsettled if one.under_way]

    async def _follow(self) -> None:
        """How what is open stands now."""
        following = {one.record.id: one for one in self._oracle.following if one.record}
        hosted = [found for found, one in following.items() if one.hosted]
        for found, choices in (await self._reader.choices(hosted)).items():
            self._oracle.chosen(following[found], choices)
        for found, now in (await self._reader.statuses(list(following))).items():
            self._oracle.stands(following[found], now)
