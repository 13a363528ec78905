"""Move money: a form, what it comes to while it is typed, a confirmation, and then it is moved.

What is confirmed is a keyed request like any of the API's (`web.once`): the confirmation carries a
token of its own, under which the money is moved once, however often it is sent; every answer leads
to the same operation. Who moved it is written into the audit log in the same transaction. What was
shown comes along: if the rate or the fee has changed since, it is shown anew and nothing is moved.

What the application's rules leave to two people is not moved: the confirmation asks another person
to approve it, once for its token, and leads to that request (`approvals`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kpay.approvals.flow import Approvals
from kpay.approvals.model import Kind
from kpay.audit.flow import Audit
from kpay.core.clock import Clock
from kpay.core.ids import Ids, parse_uuid
from kpay.core.keyed import Keyed
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.core.routes import Reply
from kpay.dashboard import wrongs
from kpay.dashboard.account import SET_UP
from kpay.dashboard.asking import (
    approval_address,
    carry_out_once,
    owes_a_factor,
    place_of,
    said,
    wanted_of,
)
from kpay.dashboard.drawing import draw
from kpay.dashboard.house import drawn
from kpay.dashboard.look import Look, Move
from kpay.dashboard.page import PREFIX, Gone, Page, Reach, Visit, book_address
from kpay.database.pool import Connection, Database
from kpay.hosted.names import wallet_name
from kpay.idempotency.model import Stored
from kpay.people.model import Right
from kpay.wallets import store
from kpay.wallets.model import Wallet
from kpay.web.once import Once
from kpay.web.pages import Answer, redirect

_MOVE = f"{PREFIX}/app/{{application}}/{{environment}}/move"
_JSON = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
# Nobody can tell yet whether it was moved: the same confirmation is given once more.
UNSURE = (Code.IDEMPOTENCY_IN_PROGRESS, Code.DATABASE_UNAVAILABLE, Code.BUSY)

AnyMove: TypeAlias = Move[Any]


class Moving:
    """The pages of every way to move money."""

    def __init__(
        self,
        database: Database,
        moves: Sequence[AnyMove],
        once: Once,
        approvals: Approvals,
        audit: Audit,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database = database
        self._moves = moves
        self._once = once
        self._approvals = approvals
        self._audit = audit
        self._clock = clock
        self._ids = ids

    def pages(self) -> list[Page]:
        made = [Page("GET", _MOVE, Reach.BOOK, self.first, Right.MOVE_MONEY)]
        for move in self._moves:
            at = f"{_MOVE}/{move.word}"
            for method, path, handler in (
                ("GET", at, self.form),
                ("POST", f"{at}/preview", self.preview),
                ("POST", f"{at}/review", self.review),
                ("POST", f"{at}/confirm", self.confirm),
            ):
                made.append(
                    Page(method, path, Reach.BOOK, partial(handler, move), Right.MOVE_MONEY)
                )
        return made

    async def first(self, visit: Visit) -> Answer:
        """Where the menu leads to."""
        return redirect(_address(visit, self._moves[0]))

    async def form(self, move: AnyMove, visit: Visit) -> Answer:
        """The form, perhaps begun: a wallet's own button says from where."""
        wallets = await store.wallets(self._database, visit.book)
        owes = owes_a_factor(visit, Right.MOVE_MONEY)
        if owes or not wallets:
            return drawn(visit, move.template, move=move, wallets=wallets, owes=owes, errors={})
        look = await self._look(move, visit, wallets, visit.query)
        return self._form(move, visit, wallets, look)

    async def preview(self, move: AnyMove, visit: Visit) -> Answer:
        """What the form comes to: for a script in parts, for who has none as the form itself."""
        wallets = await self._wallets(visit)
        look = await self._look(move, visit, wallets, visit.form)
        if "part" not in visit.form:
            return self._form(move, visit, wallets, look)
        errors = self._errors(visit, look)
        trouble = errors.get(wrongs.WHOLE, "")
        panel = draw("move_panel.html", visit.speech, trouble=trouble, **_shown(look))
        told = {
            "panel": panel.decode(),
            "errors": errors,
            "unit": look.wallet.available.currency,
            "said": _said(visit, look),
        }
        return Answer(200, msgspec.json.encode(told), _JSON)

    async def review(self, move: AnyMove, visit: Visit) -> Answer:
        """Everything in words, to be confirmed; or the form again, with what is wrong in it."""
        if owes_a_factor(visit, Right.MOVE_MONEY):
            return redirect(SET_UP)
        wallets = await self._wallets(visit)
        look = await self._look(move, visit, wallets, visit.form)
        if look.short:
            look.refused.setdefault(wrongs.AMOUNT, move.shortage)
        if look.refused or look.missing:
            return self._form(move, visit, wallets, look, 422)
        return await self._confirmation(move, visit, look, token=str(self._ids.uuid()))

    async def confirm(self, move: AnyMove, visit: Visit) -> Answer:
        """Move it, once: whoever sends this again is led to the same operation."""
        if owes_a_factor(visit, Right.MOVE_MONEY):
            return redirect(SET_UP)
        token = parse_uuid(visit.form.get("token", ""))
        if token is None:
            raise Gone
        wallets = await self._wallets(visit)
        try:
            if "ask" in visit.form:
                return await self._ask(move, visit, wallets, token)
            stored = await self._carry_out(move, visit, wallets, token)
        except Refusal as refusal:
            return await self._not_moved(move, visit, wallets, refusal.code, str(token))
        told = msgspec.json.decode(stored.body)
        if stored.status >= 400:
            # A copy of what was refused: it is refused for good, and the same is said of it.
            return await self._not_moved(move, visit, wallets, Code(told["code"]), str(token))
        query = urlencode({"moved": move.word, "id": told["id"]})
        return redirect(f"{book_address(visit.book, 'wallets')}?{query}")

    async def _carry_out(
        self, move: AnyMove, visit: Visit, wallets: Sequence[Wallet], token: UUID
    ) -> Stored:
        """The one answer to a token's confirmation. Refuses what the flow refuses; rate_changed."""
        book, terms = visit.book, visit.application.terms

        async def make(keyed: Keyed) -> Reply:
            look = await self._agreed(move, visit, wallets)
            if look.amount is not None and await self._approvals.needed(book, look.amount):
                raise Refusal(Code.RATE_CHANGED, "Another person must approve it now.")
            beside = partial(self._record, move, visit, look, keyed)
            await move.make(book, terms, look, keyed, beside)
            return Reply({"id": str(keyed.operation_id)}, 201)

        async def recall(keyed: Keyed) -> Reply | None:
            made = await move.is_made(book, keyed.operation_id)
            return Reply({"id": str(keyed.operation_id)}, 201) if made else None

        key = f"dashboard {visit.session.person.id} {token}"
        fingerprint = said(visit.form, visit.at)
        return await carry_out_once(self._once, book, key, fingerprint, make, recall)

    async def _ask(
        self, move: AnyMove, visit: Visit, wallets: Sequence[Wallet], token: UUID
    ) -> Answer:
        """Ask another person to approve it, once for a token. Refuses as `_agreed` does."""
        look = await self._agreed(move, visit, wallets)
        if look.short:
            raise Refusal(move.shortage, "There is not as much in the wallet any more.")
        wanted = wanted_of(Kind(move.word), look, token)
        approval_id = await self._approvals.ask(place_of(visit), visit.session.actor, wanted)
        return redirect(approval_address(visit.book, approval_id) + "?done=asked#main")

    async def _agreed(self, move: AnyMove, visit: Visit, wallets: Sequence[Wallet]) -> Look:
        """What was confirmed, as it still is. Refuses what is wrong with it; rate_changed."""
        look = await self._look(move, visit, wallets, visit.form)
        for code in look.refused.values():
            raise Refusal(code, "What was confirmed cannot be moved any more.")
        if look.missing or look.stamp != visit.form.get("shown"):
            raise Refusal(Code.RATE_CHANGED, "It comes to something else now than was shown.")
        return look

    async def _record(
        self, move: AnyMove, visit: Visit, look: Look, keyed: Keyed, connection: Connection
    ) -> None:
        """Who moved it, in the transaction that moves it."""
        await self._audit.write(
            connection,
            self._clock.now(),
            visit.session.actor,
            move.action,
            move.subject(keyed.operation_id),
            companies=[visit.where.membership.company_id],
            details={
                **move.details(look),
                "application": visit.application.name,
                "environment": visit.book.environment.value,
                "applicationId": str(visit.book.application_id),
            },
        )

    async def _not_moved(
        self, move: AnyMove, visit: Visit, wallets: Sequence[Wallet], code: Code, token: str
    ) -> Answer:
        """Back to where it can be mended. Raises what cannot be mended by who is there."""
        if code is Code.IDEMPOTENCY_KEY_REUSED:
            return redirect(_address(visit, move))
        look = await self._look(move, visit, wallets, visit.form)
        status = ANSWERS[code].status
        if code in wrongs.FIELDS:
            look.refused.setdefault(wrongs.FIELDS[code], code)
            return self._form(move, visit, wallets, look, status)
        if code is Code.RATE_CHANGED:
            if look.refused or look.missing:
                return self._form(move, visit, wallets, look, status)
            fresh = str(self._ids.uuid())
            return await self._confirmation(move, visit, look, status, token=fresh, told="changed")
        if code in UNSURE:
            shown = visit.form.get("shown", "")
            return await self._confirmation(
                move, visit, look, status, token=token, told="unsure", shown=shown
            )
        raise Refusal(code, "The money was not moved.")

    async def _wallets(self, visit: Visit) -> Sequence[Wallet]:
        """Where money can come from. Raises Gone: our forms are only ever sent with one of them."""
        wallets = await store.wallets(self._database, visit.book)
        if visit.form.get(wrongs.SOURCE) not in {wallet.country for wallet in wallets}:
            raise Gone
        return wallets

    async def _look(
        self, move: AnyMove, visit: Visit, wallets: Sequence[Wallet], given: Mapping[str, str]
    ) -> Look:
        typed = move.begin(wallets, given)
        wallet = next(each for each in wallets if each.country == typed[wrongs.SOURCE])
        look: Look = await move.look(visit.book, visit.application.terms, wallet, typed)
        return look

    def _form(
        self,
        move: AnyMove,
        visit: Visit,
        wallets: Sequence[Wallet],
        look: Look,
        status: int = 200,
    ) -> Answer:
        return drawn(
            visit,
            move.template,
            status,
            move=move,
            here=_address(visit, move),
            wallets=wallets,
            owes=False,
            trouble="",
            errors=self._errors(visit, look, whole=status != 200),
            **move.choices(visit.book, visit.application.terms),
            **_shown(look),
        )

    async def _confirmation(
        self,
        move: AnyMove,
        visit: Visit,
        look: Look,
        status: int = 200,
        *,
        token: str,
        told: str = "",
        shown: str | None = None,
    ) -> Answer:
        amount = look.amount
        limit = None
        if amount is not None:
            limit = (await self._approvals.rules(visit.book)).limit(amount.currency)
        asks = limit is not None and amount is not None and amount.minor > limit.minor
        if told == "changed" and asks and look.stamp == visit.form.get("shown"):
            # The money comes to the same; what has changed is who has to agree to it.
            told = "approval"
        return drawn(
            visit,
            "move_confirm.html",
            status,
            move=move,
            here=_address(visit, move),
            token=token,
            told=told,
            asks=asks or "ask" in visit.form,
            limit=limit,
            stamp=look.stamp if shown is None else shown,
            **_shown(look),
        )

    @staticmethod
    def _errors(visit: Visit, look: Look, *, whole: bool = False) -> dict[str, str]:
        """What is wrong at each field; with `whole` also that one was left empty."""
        speech = visit.speech
        errors = {
            field: wrongs.words(speech, code, look.about) for field, code in look.refused.items()
        }
        if whole:
            for field in look.missing:
                errors.setdefault(field, wrongs.missing(speech, field))
        return errors


def _shown(look: Look) -> dict[str, object]:
    """What a template shows of a look."""
    return {"look": look, "wallet_name": wallet_name}


def _said(visit: Visit, look: Look) -> str:
    """What a form comes to in one sentence, for who listens while typing."""
    if look.arrives is None or look.left is None:
        return ""
    speech = visit.speech
    return speech.say(
        "%(arrives)s arrive, %(left)s are then available.",
        arrives=speech.money(look.arrives),
        left=speech.money(look.left),
    )


def _address(visit: Visit, move: AnyMove) -> str:
    return book_address(visit.book, "move", move.word)
