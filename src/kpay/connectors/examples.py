"""What the document shows of these routes."""

from __future__ import annotations

from kpay.core.routes import Example

PREDICT = (
    Example(
        "A number in Cameroon",
        {"country": "CMR", "provider": "MTN_MOMO_CMR", "phoneNumber": "237653456789"},
        {"phoneNumber": "+237 653 456 789"},
    ),
)
AVAILABILITY = (
    Example(
        "Gabon, in the sandbox; the other countries are left out here",
        [
            {
                "country": "GAB",
                "providers": [
                    {
                        "provider": "AIRTEL_GAB",
                        "operationTypes": [
                            {"operationType": "DEPOSIT", "status": "OPERATIONAL"},
                            {"operationType": "PAYOUT", "status": "OPERATIONAL"},
                        ],
                    }
                ],
            }
        ],
    ),
)
PLATFORM = (
    Example(
        "XAF; the other currencies are left out here",
        {
            "paymentFeePercent": 5,
            "withdrawalFeePercent": 5,
            "transferFeePercent": 0,
            "currencies": [
                {
                    "currency": "XAF",
                    "payment": {"min": 50, "max": 10000000},
                    "withdrawal": {"min": 100, "max": 500000},
                    "transfer": {"min": 100, "max": 10000000},
                }
            ],
        },
    ),
)
