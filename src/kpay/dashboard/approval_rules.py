"""What needs a second person: an owner's form, confirmed in live with a fresh code.

More protection is in force at once. Less is only asked for: nobody lowers it alone and then pays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from kpay.approvals.flow import Approvals
from kpay.approvals.model import Rules
from kpay.catalogue.model import Catalogue
from kpay.core.ids import Ids, parse_uuid
from kpay.core.money import Money, read_amount
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.approval_words import rules_words
from kpay.dashboard.approvals import ADDRESS
from kpay.dashboard.asking import approval_address, owes_a_factor, place_of
from kpay.dashboard.house import drawn
from kpay.dashboard.page import Gone, Page, Reach, Visit
from kpay.dashboard.typed import amount_text, line
from kpay.database.pool import Database
from kpay.people.flow import People
from kpay.people.members import Members
from kpay.people.model import RIGHTS, Right
from kpay.wallets.store import wallets
from kpay.web.pages import Answer, redirect

_MOST_TYPED = 40
_CODE = "code"
_NOTHING: Mapping[str, str] = {}
_SECONDS_OF_A_MINUTE = 60


class Field(msgspec.Struct, frozen=True):
    """One currency's amount, as it stands in the form."""

    currency: str
    text: str
    error: str = ""

    @property
    def name(self) -> str:
        return f"above-{self.currency}"


class RulePages:
    """The form of the rules of one application in one environment."""

    def __init__(
        self,
        database: Database,
        approvals: Approvals,
        people: People,
        catalogue: Catalogue,
        ids: Ids,
    ) -> None:
        self._database = database
        self._approvals = approvals
        self._people = people
        self._members: Members = people.members
        self._currencies = sorted({each.currency for each in catalogue.countries.values()})
        self._ids = ids

    def pages(self) -> list[Page]:
        at, right = f"{ADDRESS}/rules", Right.APPROVAL_RULES
        return [
            Page("GET", at, Reach.BOOK, self.show, right),
            Page("POST", f"{at}/save", Reach.BOOK, self.save, right),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def save(self, visit: Visit) -> Answer:
        """Put the rules in force, or ask another person to agree where they protect less."""
        if owes_a_factor(visit, Right.APPROVAL_RULES):
            return redirect(SET_UP)
        token, version = parse_uuid(visit.form.get("token", "")), _version(visit)
        above, wrong = _read(visit, self._currencies)
        if wrong:
            return await self._shown(visit, 422, wrong)
        fresh = Rules(version, above, visit.form.get("others") == "all")
        try:
            if not visit.book.is_test:
                await self._people.codes.again(visit.session, visit.form.get(_CODE, ""))
            asked = await self._approvals.change_rules(
                place_of(visit), visit.session.actor, fresh, token or self._ids.uuid()
            )
        except Refusal as refusal:
            return await self._refused(visit, refusal)
        if asked is not None:
            return redirect(approval_address(visit.book, asked) + "?done=asked#main")
        return redirect(approval_address(visit.book) + "?done=rules#main")

    async def _refused(self, visit: Visit, refusal: Refusal) -> Answer:
        say, code = visit.speech.say, refusal.code
        status = ANSWERS[code].status
        if code is Code.RATE_CHANGED:
            words = say("Somebody else has changed the rules meanwhile: these are in force now.")
            return await self._shown(visit, status, changed=words)
        told = {
            Code.WRONG_CODE: say("This code is wrong, or was used already: give the next one."),
            Code.TOO_MANY_FAILURES: say(
                "Too many attempts: try again in %(minutes)s minutes.",
                minutes=-(-(refusal.retry_after or 60) // _SECONDS_OF_A_MINUTE),
            ),
        }
        if code not in told:
            raise refusal
        return await self._shown(visit, status, {_CODE: told[code]})

    async def _shown(
        self,
        visit: Visit,
        status: int = 200,
        errors: Mapping[str, str] = _NOTHING,
        changed: str = "",
    ) -> Answer:
        """The form as it was sent where something in it is wrong, else as the rules stand."""
        rules = await self._approvals.rules(visit.book)
        typed = visit.form if errors else _NOTHING
        held = {each.available.currency for each in await wallets(self._database, visit.book)}
        currencies = sorted(held | set(rules.above)) or self._currencies
        return drawn(
            visit,
            "approval_rules.html",
            status,
            here=approval_address(visit.book, "rules"),
            back=approval_address(visit.book),
            rules=rules,
            told=rules_words(visit.speech, rules),
            fields=[_field(visit, rules, each, typed, errors) for each in currencies],
            others=typed["others"] == "all" if "others" in typed else rules.others,
            example=visit.speech.money(Money(10_000_000, currencies[0])),
            proves=not visit.book.is_test,
            owes=owes_a_factor(visit, Right.APPROVAL_RULES),
            alone=await self._alone(visit),
            token=str(self._ids.uuid()),
            errors=errors,
            changed=changed,
        )

    async def _alone(self, visit: Visit) -> bool:
        """Whether nobody but the visitor could approve anything."""
        company_id = visit.where.membership.company_id
        members = await self._members.of_company(visit.session, company_id)
        deciders: set[UUID] = {
            member.person.id
            for member in members
            if Right.APPROVE in RIGHTS[member.role] and member.person.disabled_at is None
        }
        return not deciders - {visit.session.person.id}


def _field(
    visit: Visit,
    rules: Rules,
    currency: str,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
) -> Field:
    found = Field(currency, "")
    limit = Money(rules.above[currency], currency) if currency in rules.above else None
    text = "" if limit is None else visit.speech.number(limit.number)
    return Field(currency, typed.get(found.name, text), errors.get(found.name, ""))


def _read(visit: Visit, known: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """The amounts of the form by currency, and what is wrong by field; an empty one is no rule."""
    above, wrong = {}, {}
    for name, text in visit.form.items():
        currency = name.removeprefix("above-")
        typed = amount_text(line(text, _MOST_TYPED))
        if name == currency or not typed:
            continue
        if currency not in known:
            raise Gone
        try:
            above[currency] = 0 if typed == "0" else read_amount(typed, currency).minor
        except Refusal:
            wrong[name] = visit.speech.say(
                "Write a number with at most two decimals, such as %(example)s, or 0.",
                example=visit.speech.number(50_000),
            )
    return above, wrong


def _version(visit: Visit) -> int:
    """Which rules the form was made from. Raises Gone, for what none of ours says."""
    text = visit.form.get("version", "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Gone
    return int(text)
