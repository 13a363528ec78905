"""What the document says beside the routes: how to begin, the chapters, how to authenticate."""

from __future__ import annotations

ABOUT = """\
Collect mobile money per country, move it across borders, pay it out to any phone.

**Keys.** `/api/v1/payments/*` takes a key pair: `X-API-Key` and `X-Secret-Key`. `/api/wallets/*`
takes a bearer token of 30 minutes, which `POST /api/v1/payments/token` gives for a pair. One that
begins with `kpay_test_` works in the sandbox, one with `kpay_live_` in production; nothing crosses
from one to the other.

**Money.** An amount is a JSON number in the currency beside it, with at most two decimals. Each
country's money has a wallet of its own, even where the currency is the same.

**Hosted page.** With a `returnUrl`, operator and number are chosen on a page of ours: send the
payer or the beneficiary to `gatewayUrl`. They come back with a signed query: `status`, `reference`,
`externalId`, `ts`, and in `sig` the hexadecimal HMAC-SHA256 of
`status|reference|externalId|ts` under your gateway secret. Believe it for ten minutes, and deliver
on the webhook.

**Files.** Lists, movements and statements are there as CSV too, of any length: the same rows in the
same order, under the names of the JSON fields.

**Refusals.** Every one has the same envelope. Decide on `code`, which never changes; `message` says
what to change. Where trying again can help, `Retry-After` says when.

**Retries.** Give each operation an `externalId` of your own. After a lost answer send the same
again: if the first one was recorded, the answer is 409 and `existingId` names it. Where a route
takes the header `Idempotency-Key`, the same request with the same key is answered as the first was.

**Quotas.** A key pair may make so many requests a minute: `X-RateLimit-Limit`, `-Remaining` and
`-Reset` say how many, how many are left, and in how many seconds all are again.

Answers may get more fields one day: do not fail on one that you do not know.
"""

TAGS = {
    "Access": "Who you are, and the token that wallets are reached with.",
    "Payments": "Money in: a payer confirms on their phone, the country's wallet gets the net.",
    "Withdrawals": "Money out: any phone, in any country, from any wallet.",
    "Refunds": "A payment given back to the phone that paid, all of it, within seven days.",
    "Transfers": "Between the wallets of one application, converted where currencies differ.",
    "Wallets": "What each country's wallet holds.",
    "Statements": "What happened to a wallet, and what it held before and afterwards.",
    "Rates": "What one currency is worth in another.",
    "Operators": "Who serves a number, what is open, fees and limits.",
    "Events": "What ended, and how, for who would rather ask than be told.",
    "Webhooks": "What we send to your addresses when something ends, and what came of it.",
}

SECURITY_SCHEMES = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "`kpay_test_…` or `kpay_live_…`: the half of the pair that is a name.",
    },
    "secretKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Secret-Key",
        "description": "`sk_test_…` or `sk_live_…`: the secret half of the same pair.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "What `POST /api/v1/payments/token` gives, good for 30 minutes.",
    },
}
