"""A headless Chromium for tests of pages, and a record of everything that it asks for."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page, ViewportSize, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)


@dataclass
class Visit:
    """One page that is open, the addresses that it asked for, and what it complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@asynccontextmanager
async def chromium() -> AsyncIterator[Visit]:
    """An empty page in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = await browser.new_page()
            visit = Visit(page)
            page.on("request", lambda request: visit.asked.append(request.url))
            page.on("pageerror", lambda problem: visit.complaints.append(str(problem)))
            page.on(
                "console",
                lambda message: (
                    visit.complaints.append(message.text) if message.type == "error" else None
                ),
            )
            yield visit
        finally:
            await browser.close()
