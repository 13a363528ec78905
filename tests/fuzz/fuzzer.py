"""Requests made up from our own OpenAPI document, and what every answer is checked for.

Half of the cases call one operation at a time, with what the document allows and with what it
forbids. The other half follow its links: what one operation made, others are called with, in
whatever order. Whatever comes, no answer is a 5xx, each is as documented, what the document forbids
is refused, and what was made can be looked at.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import Catalogue, ProviderStatus
from kpay.core.sheet import MEDIA

# Every request is answered within this, or the run fails.
ANSWER_SECONDS = 10

# `positive_data_acceptance` and `ignored_auth` are left out: that a country exists, a number is the
# sandbox's or a balance suffices is no matter of a schema, and access has tests of its own, which
# know whose things are whose.
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]

_ALLOWED, _FORBIDDEN = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
_MOST_STEPS = 5

# The credentials are the merchant's own: what wrong ones do is tested for every route elsewhere.
_CONFIG: dict[str, Any] = {"generation": {"with-security-parameters": False}}

Operation: TypeAlias = schemathesis.APIOperation[Any, Any, Any, Any]
Case: TypeAlias = schemathesis.Case[Any]


@dataclass
class Told:
    """How many cases were sent to each operation, and how many answers had each status."""

    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    secrets: list[str] = field(default_factory=list)
    """What the requests were sent with, for who looks whether it turned up anywhere else."""

    @property
    def cases(self) -> int:
        return self.statuses.total()


class Fuzzer:
    """Sends made-up requests to a running server with a merchant's own credentials.

    The seed decides what is made up. Nothing that is drawn depends on an answer, so a run can be
    repeated; only the identifiers of what was made differ.
    """

    def __init__(
        self, url: str, credentials: Mapping[str, str], application_id: str, seed: int
    ) -> None:
        self._url = url
        self._seed = seed
        self._session = requests.Session()
        self._session.headers.update(credentials)
        self._plausible = Plausible(application_id, Random(seed), catalogue())  # noqa: S311
        self._document = self._session.get(
            f"{url}/api/docs/public-json", timeout=ANSWER_SECONDS
        ).json()
        schema = schemathesis.openapi.from_dict(
            self._document, config=schemathesis.Config.from_dict(_CONFIG)
        )
        found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        self._operations: dict[str, Operation] = {
            _id_of(operation): operation for operation in found
        }
        self.told = Told(secrets=list(credentials.values()))

    def run(self, cases: int) -> Told:
        """Send about so many cases. Raises the first failure, with a curl line that shows it."""
        each = max(1, cases // (4 * len(self._operations)))
        for operation in self._operations.values():
            for mode in (_ALLOWED, _FORBIDDEN):
                self._alone(operation, mode, each)
        while self.told.cases < cases:
            self._seed += 1
            for name, links in self.links().items():
                left = max(1, (cases - self.told.cases) // _MOST_STEPS)
                self._linked(self._operations[name], links, min(each, left))
        return self.told

    def links(self) -> dict[str, list[Operation]]:
        """The operations that make something, each with those that its links lead to."""
        return {
            name: [self._operations[link["operationId"]] for link in linked.values()]
            for name, operation in self._operations.items()
            if (linked := _links_of(operation))
        }

    def send(self, case: Case) -> schemathesis.Response:
        """One request and its answer: counted, and checked against the document."""
        answer = case.call(base_url=self._url, session=self._session, timeout=ANSWER_SECONDS)
        self.told.operations[case.operation.label] += 1
        self.told.statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)
        if answer.headers.get("content-type") == [MEDIA]:
            check_csv(answer.content.decode())
        return answer

    def _alone(
        self, operation: Operation, mode: schemathesis.GenerationMode, examples: int
    ) -> None:
        """One operation, with what the document allows or with what it forbids."""

        def call(case: Case) -> None:
            self._plausible.mend(case)
            self.send(case)

        try:
            self._given(examples, operation.as_strategy(generation_mode=mode), call)
        except Unsatisfiable:
            # Nothing can be wrong with a request that has neither parameters nor a body.
            assert mode is _FORBIDDEN, operation.label
            assert not operation.body, operation.label

    def _linked(self, maker: Operation, linked: list[Operation], examples: int) -> None:
        """What one operation makes, and then others with its identifier, one after the other."""
        scenario = st.tuples(
            maker.as_strategy(),
            st.lists(
                st.one_of([operation.as_strategy() for operation in linked]),
                min_size=1,
                max_size=_MOST_STEPS - 1,
            ),
        )
        looks = [operation for operation in linked if operation.method == "get"]

        def play(drawn: tuple[Case, list[Case]]) -> None:
            first, then = drawn
            self._plausible.mend(first)
            answer = self.send(first)
            if answer.status_code >= 300:
                return
            made = answer.json()["id"]
            for case in then:
                case.path_parameters = {"id": made}
                self.send(case)
            for operation in looks:
                look = operation.Case(path_parameters={"id": made})
                assert self.send(look).status_code == 200, (operation.label, made)

        self._given(examples, scenario, play)

    def _given(
        self, examples: int, strategy: st.SearchStrategy[Any], test: Callable[[Any], None]
    ) -> None:
        settings = hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=False,
            # What the server holds has changed by the time that a failure could be made smaller.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        hypothesis.seed(self._seed)(settings(hypothesis.given(strategy)(test)))()


class Plausible:
    """Puts real values into most requests, so that what lies behind the first checks is reached."""

    def __init__(self, application_id: str, random: Random, world: Catalogue) -> None:
        self._application_id = application_id
        self._random = random
        self._countries = list(world.countries)
        self._numbers = list(world.test_numbers.values())
        self._providers = {
            country: [
                provider.code
                for provider in world.of_country(country)
                if provider.status is ProviderStatus.ACTIVE
            ]
            for country in world.countries
        }

    def mend(self, case: Case) -> None:
        """Change what the document allows; what it forbids is sent as it is."""
        allowed = case.meta is not None and case.meta.generation.mode is _ALLOWED
        if allowed and "country" in (case.path_parameters or {}) and self._random.random() < 0.8:
            case.path_parameters = {"country": self._random.choice(self._countries)}
        if not allowed or not isinstance(case.body, dict) or self._random.random() < 0.2:
            return
        body = dict(case.body)
        if "returnUrl" in body and self._random.random() < 0.5:
            self._name_a_page(body)
        elif "provider" in body:
            self._name_a_phone(body, "PAYOUT" if "withdraw" in case.operation.path else "DEPOSIT")
        for name in ("sourceCountry", "destinationCountry"):
            if body.get(name) is not None:
                body[name] = self._random.choice(self._countries)
        if "applicationId" in body:
            body["applicationId"] = self._application_id
        if "amount" in body and self._random.random() < 0.9:
            body["amount"] = self._random.choice([100, 150.5, 1_000, 99_999.99, 5_000])
        if body.get("externalId") is not None and self._random.random() < 0.3:
            body["externalId"] = f"again-{self._random.randrange(20)}"
        case.body = body

    def _name_a_phone(self, body: dict[str, Any], operation: str) -> None:
        number = self._random.choice(
            [number for number in self._numbers if number.operation == operation]
        )
        body["provider"] = self._random.choice(self._providers[number.country])
        body["phoneNumber"] = number.phone_number
        for name in ("currency", "returnUrl", "cancelUrl"):
            body.pop(name, None)

    def _name_a_page(self, body: dict[str, Any]) -> None:
        """Where it is chosen, nothing is named; a page leads back to a whole address."""
        body.pop("provider", None)
        body.pop("phoneNumber", None)
        for name in ("returnUrl", "cancelUrl"):
            if body.get(name) is not None:
                body[name] = f"https://shop.example/{name}?order={self._random.randrange(100)}"


def check_csv(text: str) -> None:
    """A file is CSV to a strict reader, and each line has a cell for each column."""
    columns, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert len(set(columns)) == len(columns)
    assert {len(row) for row in rows} <= {len(columns)}


def _id_of(operation: Operation) -> str:
    return str(operation.definition.raw["operationId"])


def _links_of(operation: Operation) -> dict[str, Any]:
    """The links of an operation's success."""
    answers = operation.definition.raw["responses"].values()
    return {name: link for answer in answers for name, link in answer.get("links", {}).items()}
