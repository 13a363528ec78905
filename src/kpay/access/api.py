"""Who am I, and tokens."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kpay.access import examples
from kpay.access.gate import Gate
from kpay.core.book import Environment
from kpay.core.forms import Uuid
from kpay.core.routes import Call, Guard, Reply, Route


class Named(msgspec.Struct):
    """An application or a company."""

    id: Annotated[Uuid, Meta(description="Its identifier.")]
    name: Annotated[str, Meta(description="Its name.", examples=["My shop"])]


class MeAnswer(msgspec.Struct):
    """The caller's application and company. `environment` is TEST or PRODUCTION."""

    application: Annotated[Named, Meta(description="Its `id` is the `applicationId` of transfers.")]
    company: Annotated[Named, Meta(description="The company that the application belongs to.")]
    environment: Annotated[Environment, Meta(description="What the prefix of the key picked.")]


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing: the key pair says it all."""


class TokenAnswer(msgspec.Struct, rename="camel"):
    """A bearer token for /api/wallets/*, in the environment of the keys."""

    access_token: Annotated[
        str, Meta(description="Send it as `Authorization: Bearer …`.", examples=["eyJhbGciOi…"])
    ]
    expires_in: Annotated[str, Meta(description="How long it is good for.", examples=["30m"])]
    environment: Annotated[Environment, Meta(description="The environment that it works in.")]


def routes(gate: Gate) -> list[Route]:
    async def me(call: Call) -> Reply:
        """Tells the application and the company of a key pair, and which environment it works in.

        A good first call: it changes nothing and shows whether the keys are right.
        """
        principal = call.principal
        application = await gate.own_application(principal, principal.book.application_id)
        company = application.company
        return Reply(
            MeAnswer(
                application=Named(str(application.id), application.name),
                company=Named(str(company.id), company.name),
                environment=principal.environment,
            )
        )

    async def token(call: Call) -> Reply:
        """Exchanges a key pair for a token of 30 minutes, which `/api/wallets/*` asks for.

        The token works in the environment of the keys. It ends at once when they are replaced.
        """
        access_token = await gate.issue_token(call.principal)
        return Reply(TokenAnswer(access_token, "30m", call.principal.environment), 201)

    return [
        Route(
            "GET",
            "/api/v1/payments/me",
            "Who the keys belong to",
            Guard.KEYS,
            me,
            MeAnswer,
            examples=examples.ME,
            tag="Access",
        ),
        Route(
            "POST",
            "/api/v1/payments/token",
            "A token for the wallets",
            Guard.KEYS,
            token,
            TokenAnswer,
            status=201,
            body=TokenRequest,
            body_optional=True,
            examples=examples.TOKEN,
            tag="Access",
        ),
    ]
