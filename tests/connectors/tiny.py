"""A rail in fifty lines, as docs/rails.md shows it: a word for each question, a word in answer."""

from __future__ import annotations

from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.connectors.variables import Place, Variables
from kpay.connectors.wire import Answer, NoAnswer, Wire
from kpay.core.money import rail_text


class TinyConnector:
    """PUT says what is to be paid, GET asks what came of it."""

    name = "tiny"

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._wire = Wire()

    async def submit(self, instruction: Instruction) -> Outcome:
        amount = instruction.amount
        wanted = f"{instruction.phone_number} {rail_text(amount)} {amount.currency}"
        return await self._ask("PUT", instruction, wanted.encode())

    async def check(self, instruction: Instruction) -> Outcome:
        return await self._ask("GET", instruction, None)

    async def close(self) -> None:
        await self._wire.close()

    async def _ask(self, method: str, instruction: Instruction, body: bytes | None) -> Outcome:
        url = f"{self._url}/{instruction.reference}"
        try:
            answer = await self._wire.send(method, url, self._headers, body)
        except NoAnswer as problem:
            return Unknown(str(problem))
        return _outcome(answer, instruction)


def _outcome(answer: Answer, instruction: Instruction) -> Outcome:
    amount = instruction.amount
    paid = f"paid {rail_text(amount)} {amount.currency}"
    match answer.status, answer.body.decode("ascii", "replace").split(" ", 1):
        case 200, ["taken"]:
            return Accepted(answer.evidence)
        case 200, ["paid", _] if answer.body == paid.encode():
            return Paid(answer.evidence)
        case 200, ["paid", _]:
            return Unknown("paid, and not what was agreed", answer.evidence, alarm=True)
        case 200, ["no", code]:
            return Refused(code, answer.evidence)
        case 200, ["what"]:
            return NotFound(answer.evidence)
        case _:
            return Unknown("the answer cannot be understood", answer.evidence)


def open_tiny(variables: Variables, _place: Place) -> TinyConnector:
    """`KPAY_TINY_URL`, `KPAY_TINY_TOKEN`."""
    return TinyConnector(
        variables.address("URL", "https://tiny.example"), variables.secret("TOKEN")
    )
