"""A browser for the tests that want one: a Chromium on PATH."""

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find a Chromium; without one, tests that want it are skipped."""
    pytest.importorskip("playwright", reason="no playwright here")
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("no Chromium on PATH")
    return found


@pytest.fixture
def new_page(chromium: str) -> "Iterator[Callable[..., Page]]":
    """Open pages of a new browser; in the end their consoles must be empty."""
    from playwright import sync_api  # noqa: PLC0415 - only where there is one

    complaints: list[str] = []
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=QUIET)

        def new_page(**options: Any) -> "Page":  # noqa: ANN401 - playwright's own
            page: Page = browser.new_page(**options)
            page.set_default_timeout(10_000)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            return page

        yield new_page
        browser.close()
    assert complaints == []
