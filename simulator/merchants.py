"""The merchants: what they ask for, again and again if they have to, and what they call back.

An external identifier is now and then used again, for something that was answered, refused, or
never answered at all. A request with an Idempotency-Key is sent again as it was; and now and then
its key with another one.
"""

from __future__ import annotations

from random import Random

from kpay.access.model import Terms
from kpay.app import House
from kpay.catalogue.data import catalogue
from kpay.core.book import Book, Environment
from kpay.core.routes import Principal
from kpay.web.errors import refusal_of
from kpay.webhooks.model import Topic
from kpay.webhooks.store import ReplayFilter
from simulator.asking import Said
from simulator.operations import Answer, Kind, Operation, Sending, Shop
from simulator.process import Process
from simulator.receivers import Receivers
from simulator.transcript import Transcript

PROVIDERS = {
    "CMR": ("MTN_MOMO_CMR", "ORANGE_CMR"),
    "GAB": ("AIRTEL_GAB",),
    "SEN": ("FREE_SEN",),
    "CIV": ("MTN_MOMO_CIV",),
    "KEN": ("MPESA_KEN",),
    "GHA": ("MTN_MOMO_GHA",),
    "UGA": ("MTN_MOMO_UGA",),
}
# The least and the most of one operation, in whole units: what suits each currency's worth.
_SIZES = {"GHA": (100, 900), "KEN": (150, 6_000), "UGA": (2_000, 90_000)}
_USUAL_SIZE = (500, 20_000)
_TERMS = (Terms(), Terms(250, 333), Terms(0, 175))
# What each hears of: everything at one place, payouts apart, payments alone.
_TOPICS = ({"generic"}, {"generic", "payouts"}, {"payments"})
_REMEMBERED = 30
_KEYS_REMEMBERED = 8
_KEYED = 0.3
_HOSTED = 0.3
_KEY_USED_AGAIN = 0.06
# How often who sends something again is one that was not answered.
_IMPATIENT = 0.7


class Merchants:
    """A few applications of two companies, and all that they ever asked for."""

    def __init__(self, random: Random, transcript: Transcript) -> None:
        self._random = random
        self._transcript = transcript
        self.shops: list[Shop] = []
        self.operations: list[Operation] = []
        self.sent_again: list[Operation] = []
        """What was asked for once more since somebody last looked."""

    async def join(self, house: House, receivers: Receivers) -> None:
        """Open the applications, and where they hear of what happens."""
        for number, terms in enumerate(_TERMS):
            made = await house.office.create_application(f"company {number % 2}", f"shop {number}")
            book = Book(made.application.id, Environment.TEST)
            await house.office.configure(
                book.application_id,
                payment_fee_bps=terms.payment_fee_bps,
                payout_fee_bps=terms.payout_fee_bps,
            )
            caller = Principal(house.ids.uuid(), book, made.application.company.id)
            shop = Shop(f"shop {number}", caller, terms, frozenset(_TOPICS[number]))
            secrets = await house.webhooks.secrets(book)
            for topic in sorted(shop.topics):
                url = receivers.open(shop, topic, secrets.current)
                await house.webhooks.set_url(book, Topic(topic), url)
            self.shops.append(shop)

    def draw(self, kind: Kind) -> Operation:
        """Something that a merchant asks for."""
        random = self._random
        country, other = random.sample(sorted(PROVIDERS), 2)
        shop = random.choice(self.shops)
        if kind is Kind.PAYMENT:
            amount = 100 * random.randint(*_SIZES.get(country, _USUAL_SIZE))
            target = random.choice(PROVIDERS[country])
        else:
            least, most = _SIZES.get(country, _USUAL_SIZE)
            amount = random.randint(100 * least, 100 * most // 2)
            abroad = kind is Kind.TRANSFER or random.random() < 0.5
            target = other if abroad else country
            if kind is Kind.PAYOUT:
                target = random.choice(PROVIDERS[target])
        made = self._made(kind, shop, self._external_id(kind, shop), country, amount, target)
        if kind is not Kind.TRANSFER and random.random() < _HOSTED:
            made.hosted, made.target = True, ""
            if kind is Kind.PAYMENT:
                made.country, made.currency = "", catalogue().countries[country].currency
        if kind is Kind.PAYOUT:
            made.minutes = _minutes(len(self.operations))
        self._draw_key(made)
        return made

    def draw_refund(self, payment: Operation) -> Operation:
        """That a merchant wants a payment given back."""
        paid = payment.record
        made = self._made(
            Kind.REFUND,
            payment.shop,
            self._external_id(Kind.REFUND, payment.shop),
            payment.country if paid is None else paid.country,
            payment.amount,
            payment.target if paid is None else paid.target,
        )
        made.payment, made.payment_was = payment, payment.status
        self._draw_key(made)
        return made

    def twin(self, operation: Operation) -> Operation:
        """The same once more, as a client that was impatient sends it."""
        made = self._made(
            operation.kind,
            operation.shop,
            operation.external_id,
            operation.country,
            operation.amount,
            operation.target,
        )
        made.payment, made.payment_was = operation.payment, operation.payment_was
        made.hosted, made.currency = operation.hosted, operation.currency
        made.minutes = operation.minutes
        return made

    def draw_keyed(self) -> Operation | None:
        """One of the last that were asked for with a key, mostly one that has no answer yet."""
        keyed = [one for one in self.operations if one.key is not None]
        undecided = [one for one in keyed if not one.told]
        among = undecided if undecided and self._random.random() < _IMPATIENT else keyed
        return self._random.choice(among[-_KEYS_REMEMBERED:]) if among else None

    def begin(self, process: Process, operation: Operation) -> Sending:
        """A process is about to be asked."""
        sending = Sending(process.seat)
        again = bool(operation.sendings)
        operation.sendings.append(sending)
        if again:
            self.sent_again.append(operation)
        self._transcript.operation(
            f"{process.name} is asked {'again ' if again else ''}for {operation}"
        )
        return sending

    async def send(self, process: Process, operation: Operation, sending: Sending) -> None:
        """Ask a process of ours, and note what it answers."""
        said = await process.counter.ask(operation)
        operation.hear(sending, said.answer, "" if _accepted(said) else said.code, said.id)
        self._transcript.operation(
            f"{process.name} answers {operation.token}: {said.answer.value} {said.code}"
        )

    async def resume(self, process: Process) -> None:
        """Have webhooks sent again at once to an endpoint, whether it is paused or not."""
        shop = self._random.choice(self.shops)
        topic = self._random.choice(sorted(shop.topics))
        await self._webhooks(process, shop, f"resume {topic}", topic)

    async def replay(self, process: Process, shop: Shop) -> None:
        """Have sent again what a receiver refused, or did not take in time."""
        await self._webhooks(process, shop, "send again what FAILED", None)

    async def _webhooks(self, process: Process, shop: Shop, what: str, topic: str | None) -> None:
        verbs = process.house.webhooks
        try:
            if topic is not None:
                await verbs.resume(shop.book, Topic(topic))
            else:
                await verbs.replay(shop.book, ReplayFilter(limit=1_000, status="FAILED"))
        except Exception as problem:
            code: str = refusal_of(problem).code
        else:
            code = "done"
        self._transcript.operation(f"{process.name} is to {what} of {shop.name}: {code}")

    async def cancel(self, process: Process, operation: Operation) -> None:
        """Call a payout or a refund back, if it can be."""
        operation.cancel_asked = True
        record = operation.record
        if record is None:
            raise ValueError(f"{operation} is not on record")
        house = process.house
        verbs = house.refunds if operation.kind is Kind.REFUND else house.payouts
        try:
            await verbs.cancel(operation.shop.book, record.id)
        except Exception as problem:
            code: str = refusal_of(problem).code
        else:
            code = "cancelled"
            operation.cancel_accepted = True
        self._transcript.operation(f"{process.name} is to cancel {operation.token}: {code}")

    def _made(
        self,
        kind: Kind,
        shop: Shop,
        external_id: str | None,
        country: str,
        amount: int,
        target: str,
    ) -> Operation:
        token = f"#{len(self.operations) + 1}"
        made = Operation(token, kind, shop, external_id, country, amount, target)
        self.operations.append(made)
        return made

    def _draw_key(self, made: Operation) -> None:
        """Perhaps it has a key; now and then one that another request of the shop had."""
        if self._random.random() >= _KEYED:
            return
        used = [
            one.key for one in self.operations[-_REMEMBERED:] if one.key and one.shop is made.shop
        ]
        again = used and self._random.random() < _KEY_USED_AGAIN
        made.key = self._random.choice(used) if again else f"key-{len(self.operations)}"

    def _external_id(self, kind: Kind, shop: Shop) -> str | None:
        recent = [
            one.external_id
            for one in self.operations[-_REMEMBERED:]
            if one.external_id and one.kind is kind and one.shop is shop
        ]
        if recent and self._random.random() < 0.25:
            return self._random.choice(recent)
        if kind is not Kind.PAYMENT and self._random.random() < 0.1:
            return None
        return f"{kind.value}-{len(self.operations) + 1}"


def _accepted(said: Said) -> bool:
    return said.answer is Answer.ACCEPTED


def _minutes(number: int) -> int | None:
    """How long the payout of a number may wait: every third for a few minutes, others for ever."""
    return None if number % 3 else 1 + number % 8
