"""What the document shows of these routes."""

from __future__ import annotations

from kpay.core.routes import Example

ME = (
    Example(
        "The keys of a sandbox",
        {
            "application": {"id": "e7c3b4f5-8d9e-4a1b-9c2d-3e4f5a6b7c8d", "name": "My shop"},
            "company": {"id": "5d0f7a52-3c1e-4b8a-a6d9-7e2c4f1b9a03", "name": "My company"},
            "environment": "TEST",
        },
    ),
)
TOKEN = (
    Example(
        "A token of the sandbox",
        {
            "accessToken": "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJrcGF5In0.dGhlIHNpZ25hdHVyZQ",
            "expiresIn": "30m",
            "environment": "TEST",
        },
        {},
    ),
)
