"""Transactions in words for people: what each is, where it stands, and why it did not work."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kpay.catalogue.model import Catalogue, OperationType
from kpay.core.money import Money, to_rail
from kpay.dashboard.speech import Speech
from kpay.dashboard.typed import phone_words
from kpay.instructions.model import Status
from kpay.ledger.model import Kind
from kpay.transactions.model import Noun, Transaction


class StatusWords(msgspec.Struct, frozen=True):
    """A status in one language, and the style's class of it: a colour beside the word."""

    name: str
    tone: str


class Telling:
    """Says what transactions are, in one language."""

    def __init__(self, speech: Speech, catalogue: Catalogue) -> None:
        self._speech = speech
        self._catalogue = catalogue

    def noun(self, noun: Noun) -> str:
        say = self._speech.say
        return {
            Noun.PAYMENT: say("Payment"),
            Noun.PAYOUT: say("Payout"),
            Noun.TRANSFER: say("Transfer"),
            Noun.REFUND: say("Refund"),
        }[noun]

    def status(self, status: Status) -> StatusWords:
        return status_words(self._speech)[status]

    def title(self, told: Transaction) -> str:
        """Payment from +237 653 456 789."""
        say = self._speech.say
        if told.noun is Noun.TRANSFER:
            return say(
                "From %(source)s to %(destination)s",
                source=self.country(told.source),
                destination=self.country(told.destination),
            )
        if told.phone_number is None:
            return {
                Noun.PAYMENT: say("Payment, not chosen yet by whom"),
                Noun.PAYOUT: say("Payout, not chosen yet to whom"),
            }[told.noun]
        phone = self.phone(told.phone_number)
        return {
            Noun.PAYMENT: say("Payment from %(phone)s", phone=phone),
            Noun.PAYOUT: say("Payout to %(phone)s", phone=phone),
            Noun.REFUND: say("Refund to %(phone)s", phone=phone),
        }[told.noun]

    def country(self, code: str | None) -> str:
        return "" if code is None else self._speech.country(code)

    def operator(self, code: str | None) -> str:
        """MTN Cameroon; the code itself of one that is in no catalogue any more."""
        if code is None:
            return ""
        provider = self._catalogue.providers.get(code)
        if provider is None:
            return code
        return f"{provider.operator} {self.country(provider.country)}"

    def phone(self, number: str) -> str:
        """+237 653 456 789, as the forms show it too."""
        return phone_words(number)

    def amount(self, told: Transaction) -> str:
        """+5,000 XAF of what came in, −5,000 XAF of what went out or is to go."""
        sign = {Noun.PAYMENT: "+", Noun.TRANSFER: ""}.get(told.noun, "\u2212")
        moved = told.status not in (Status.FAILED, Status.CANCELLED)
        return f"{sign if moved else ''}{self._speech.money(told.amount)}"

    def other_amount(self, told: Transaction) -> str:
        """What comes of it on the other side, where that is worth a line."""
        if told.arrives is None or told.status in (Status.FAILED, Status.CANCELLED):
            return ""
        amount = self._speech.money(self._paid(told, told.arrives))
        if told.noun is Noun.PAYMENT:
            return self._speech.say("%(amount)s for you", amount=amount)
        if told.arrives.currency == told.amount.currency:
            return ""
        return self._speech.say("%(amount)s arrive", amount=amount)

    def _paid(self, told: Transaction, arrives: Money) -> Money:
        """What arrives, as the confirmation said it: an operator pays no part of its least coin."""
        provider = self._catalogue.providers.get(told.provider or "")
        if told.noun is not Noun.PAYOUT or provider is None:
            return arrives
        return to_rail(arrives, provider.decimals(OperationType.PAYOUT))

    def reason(self, code: str | None) -> str:
        """Why it did not work; the code itself where there are no words for it."""
        if code is None:
            return ""
        return reasons(self._speech).get(code, code)

    def account(self, account: str) -> str:
        """An account of the ledger, as its owner would call it."""
        say = self._speech.say
        kind, _, name = account.partition(":")
        if kind == "provider":
            return say("Operator %(name)s", name=self.operator(name))
        if kind in ("wallet", "reserved"):
            country = self.country(name)
            return {
                "wallet": say("Your wallet, %(country)s", country=country),
                "reserved": say("Set aside, %(country)s", country=country),
            }[kind]
        return {
            "fees": say("Fees, %(currency)s", currency=name),
            "fx": say("Exchange, %(currency)s", currency=name),
            "rounding": say("Rounding, %(currency)s", currency=name),
        }.get(kind, account)

    def kind(self, kind: Kind) -> str:
        """What an entry of the journal did."""
        say = self._speech.say
        return {
            Kind.PAYMENT_COMPLETED: say("The payment was credited"),
            Kind.TRANSFER: say("The money changed wallets"),
            Kind.PAYOUT_REQUESTED: say("The amount was set aside"),
            Kind.PAYOUT_COMPLETED: say("The payout was settled"),
            Kind.PAYOUT_RELEASED: say("The amount went back to your wallet"),
            Kind.REFUND_REQUESTED: say("The refund was set aside"),
            Kind.REFUND_COMPLETED: say("The refund was settled"),
            Kind.REFUND_RELEASED: say("The refund went back to your wallet"),
        }[kind]


def noun_names(speech: Speech) -> dict[Noun, str]:
    """What there are in a list, in the plural."""
    say = speech.say
    return {
        Noun.PAYMENT: say("Payments"),
        Noun.PAYOUT: say("Payouts"),
        Noun.TRANSFER: say("Transfers"),
        Noun.REFUND: say("Refunds"),
    }


def status_words(speech: Speech) -> dict[Status, StatusWords]:
    say = speech.say
    return {
        Status.PENDING: StatusWords(say("Pending"), "wait"),
        Status.PROCESSING: StatusWords(say("Processing"), "wait"),
        Status.COMPLETED: StatusWords(say("Completed"), "good"),
        Status.FAILED: StatusWords(say("Failed"), "bad"),
        Status.CANCELLED: StatusWords(say("Cancelled"), "off"),
    }


def reasons(speech: Speech) -> Mapping[str, str]:
    """Why operators refuse, by their codes and ours; what they do not say stays a code."""
    say = speech.say
    return {
        "PAYER_NOT_FOUND": say("this number has no account with the operator"),
        "RECIPIENT_NOT_FOUND": say("this number has no account with the operator"),
        "PAYMENT_NOT_APPROVED": say("it was not confirmed on the phone"),
        "PAYER_LIMIT_REACHED": say("the payer’s account has reached its limit"),
        "RECIPIENT_LIMIT_REACHED": say("the beneficiary’s account has reached its limit"),
        "WALLET_LIMIT_REACHED": say("the account has reached its limit"),
        "INSUFFICIENT_BALANCE": say("there is not enough money in the account"),
        "TRANSACTION_ALREADY_IN_PROCESS": say("another one of this number was still under way"),
        "MANUALLY_CANCELLED": say("it was cancelled where it waited for the operator"),
        "UNSPECIFIED_FAILURE": say("the operator gave no reason"),
        "NOT_FOUND": say("the operator has never received it"),
        "EXPIRED": say("nobody chose in time"),
        "DEADLINE_PASSED": say("its time to wait for the operator was over"),
    }
