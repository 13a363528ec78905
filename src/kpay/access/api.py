"""Who am I, and tokens."""

from __future__ import annotations

import msgspec

from kpay.access.gate import Gate
from kpay.core.routes import Call, Guard, Reply, Route


class Named(msgspec.Struct):
    id: str
    name: str


class MeAnswer(msgspec.Struct):
    """The caller's application and company. `environment` is TEST or PRODUCTION."""

    application: Named
    company: Named
    environment: str


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing: the key pair says it all."""


class TokenAnswer(msgspec.Struct, rename="camel"):
    """A bearer token for /api/wallets/*, in the environment of the keys."""

    access_token: str
    expires_in: str
    environment: str


def routes(gate: Gate) -> list[Route]:
    async def me(call: Call) -> Reply:
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
        access_token = await gate.issue_token(call.principal)
        return Reply(TokenAnswer(access_token, "30m", call.principal.environment), 201)

    return [
        Route("GET", "/api/v1/payments/me", "Who the keys belong to", Guard.KEYS, me, MeAnswer),
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
        ),
    ]
