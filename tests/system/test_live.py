"""News over a real connection: from whichever process, and without holding up a server's end."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

import pytest

from kpay.transactions.news import News
from tests.people import PASSWORD
from tests.system.program import Program, Server, key_headers

LIFE: float = (News.__init__.__kwdefaults__ or {})["life"]


class Person:
    """Somebody signed in, over connections of this test's own."""

    def __init__(self, server: Server, link: str, email: str) -> None:
        self.port = server.port
        self.cookie = ""
        self.open = ExitStack()
        self.post(re.sub(r"^https?://[^/]+", "", link), password=PASSWORD)
        answer = self.post("/dashboard/sign-in", email=email, password=PASSWORD)
        self.cookie = (answer.headers["set-cookie"] or "").partition(";")[0]

    def post(self, path: str, **fields: str) -> HTTPResponse:
        headers = {"Sec-Fetch-Site": "same-origin"}
        answer = self._ask("POST", path, urlencode(fields), headers)
        assert answer.status == 303, answer.read()
        return answer

    def get(self, path: str) -> HTTPResponse:
        return self._ask("GET", path, None, {"Cookie": self.cookie})

    def news_of(self, path: str) -> HTTPResponse:
        """The answer that tells a page its news."""
        found = re.search(r'data-live="([^"]+)"', self.get(path).read().decode())
        assert found is not None
        return self.get(found[1].replace("&amp;", "&"))

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.open.callback(connection.close)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        self.open.callback(answer.close)
        return answer


def marks(answer: HTTPResponse) -> Iterator[str]:
    """What a page is told, until the answer ends."""
    for line in answer:
        if line.startswith(b"data: "):
            yield line.decode().removeprefix("data: ").strip()


@pytest.fixture(scope="module")
def shop(program: Program) -> dict[str, str]:
    """An application, its keys, and the first link of its owner."""
    made = program.json("app", "create", "--company", "News", "--name", "one")
    person = program.json(
        "person", "create", "--company", "News", "--email", "n@example.com", "--name", "N"
    )
    return {"id": made["application"]["id"], "link": person["link"], **key_headers(made["test"])}


def test_a_page_is_told_of_what_other_processes_do_and_no_end_waits_for_it(
    program: Program, shop: dict[str, str]
) -> None:
    application, link = shop.pop("id"), shop.pop("link")
    path = f"/dashboard/app/{application}/test/transactions"
    with ExitStack() as at_the_end, program.serving("serve", "--workers", "2") as server:
        person = Person(server, link, "n@example.com")
        at_the_end.push(person.open)
        pages = [person.news_of(path) for _ in range(4)]
        payment = {
            "amount": 1000,
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
            "externalId": "news-1",
        }
        assert server.request("POST", "/api/v1/payments/init", payment, shop)[0] == 201
        for page in pages:
            assert page.status == 200
            assert next(marks(page))

        waiting = person.news_of(path)
        began = time.monotonic()
        assert server.stop() == 0

        assert list(marks(waiting)) == []
        assert time.monotonic() - began < LIFE
