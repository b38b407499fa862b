"""Which live tests run, and a browser for those that want one.

All of them take a quarter of an hour. So of each test every seventh case runs, and at
least one, unless ``--all`` is given, or files or tests are chosen by name.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from tools import live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

EVERY = 7  # so that it is no multiple of the number of workers or frameworks
LEFT = Path(__file__).parents[2] / ".cache" / "live" / "left.txt"

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run every live test")


def is_sample(config: pytest.Config) -> bool:
    """Return whether no tests were selected."""
    is_chosen = config.option.keyword or config.option.markexpr
    is_named = any(".py" in argument for argument in config.args)
    return not (config.getoption("--all") or is_chosen or is_named)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    # Those that wait for minutes come first, so that the others run meanwhile.
    items.sort(key=lambda item: "test_workers" not in item.nodeid)
    if not is_sample(config):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    taken = set()
    for number, several in enumerate(cases.values()):
        # Not the first of each: then no test would see the last framework or worker.
        taken.update(several[number % min(EVERY, len(several)) :: EVERY])
    left = [item for item in items if item not in taken]
    items[:] = [item for item in items if item in taken]
    config.hook.pytest_deselected(items=left)
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        LEFT.parent.mkdir(parents=True, exist_ok=True)
        LEFT.write_text("".join(f"{one.nodeid}\n" for one in left), encoding="utf-8")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if is_sample(config) and LEFT.exists():
        number = len(LEFT.read_text("utf-8").splitlines())
        terminalreporter.write_line(
            f"{number} live tests are left to --all; their names are in {LEFT}"
        )


@pytest.fixture(scope="session", autouse=True)
def mail_sink() -> "Iterator[None]":
    """Take the emails that services in production send, and drop them."""
    sink = Controller(Sink(), hostname="127.0.0.1", port=live.free_port())
    sink.start()
    live.PRODUCTION["EMAIL_URL"] = f"smtp://127.0.0.1:{sink.port}"
    yield
    sink.stop()


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
