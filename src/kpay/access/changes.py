"""What a change of terms comes to, as the audit log keeps it: what is different, and what it was.

Pure. A name with `Before` holds what was. None is what is usual: every provider, the
installation's rate.
"""

from __future__ import annotations

from kpay.access.model import Application, Terms
from kpay.audit.model import Details
from kpay.core.limits import Limits

FEE_MOST_BPS = 9_999


def changes(before: Terms, after: Terms) -> dict[str, str | int | bool | None]:
    """The terms that are not the same; empty where all are."""
    was, now = _told(before), _told(after)
    found: dict[str, str | int | bool | None] = {}
    for name, value in now.items():
        if value != was[name]:
            found[name], found[f"{name}Before"] = value, was[name]
    return found


def change_of_limits(
    application: Application, operation: str, currency: str, after: Limits | None
) -> Details:
    """Bounds in hundredths, where the application has its own before or afterwards."""
    before = application.terms.limits.get((operation, currency))
    found: dict[str, str | int | bool | None] = {
        "application": application.name,
        "operation": operation,
        "currency": currency,
    }
    if before is not None:
        found |= {"leastBefore": before.least.minor, "mostBefore": before.most.minor}
    if after is not None:
        found |= {"least": after.least.minor, "most": after.most.minor}
    return found


def _told(terms: Terms) -> dict[str, str | int | None]:
    allowed = terms.allowed_providers
    return {
        "paymentFeeBps": terms.payment_fee_bps,
        "payoutFeeBps": terms.payout_fee_bps,
        "rateLimit": terms.rate_limit,
        "providers": None if allowed is None else ", ".join(sorted(allowed)),
    }
