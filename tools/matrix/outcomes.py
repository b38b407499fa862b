"""A pytest plugin that counts tests, for the matrix.

An exit code does not say how many tests ran: ``os._exit(0)`` in a test, a collection
that found nothing, or skips all end in 0. The matrix copies this file beside
tests and reads the JSON file it writes; a session that dies writes none. It imports
nothing that is not in every combination's environment.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

RESULT_VARIABLE = "PYTHON_PATTERNS_TALLY"

_RANK = {"passed": 0, "skipped": 1, "failed": 2}
_outcomes: dict[str, str] = {}
_reasons: dict[str, str] = {}
_deselected: list[str] = []


def _note(report: "pytest.CollectReport | pytest.TestReport") -> None:
    """Keep the worst outcome of a test's set-up, call and tear-down."""
    known = _outcomes.get(report.nodeid, "passed")
    if _RANK[report.outcome] >= _RANK[known]:
        _outcomes[report.nodeid] = report.outcome
    if report.outcome != "passed" and report.nodeid not in _reasons:
        text = report.longreprtext
        if isinstance(report.longrepr, tuple):  # a skip: path, line, reason
            text = str(report.longrepr[2])
        errors = [line[2:].strip() for line in text.splitlines() if line[:2] == "E "]
        _reasons[report.nodeid] = (errors or text.splitlines() or [""])[0]


def pytest_deselected(items: "list[pytest.Item]") -> None:
    """Count what an option leaves out."""
    _deselected.extend(item.nodeid for item in items)


def pytest_collectreport(report: "pytest.CollectReport") -> None:
    """Note modules that fail to load or skip themselves."""
    if report.outcome != "passed":
        _note(report)


def pytest_runtest_logreport(report: "pytest.TestReport") -> None:
    """Note the outcome of each phase of each test."""
    _note(report)


def pytest_sessionfinish(session: "pytest.Session") -> None:
    """Write the tally.

    Args:
        session: The session that ends; its ``items`` are the tests that were found.
    """
    result = {
        "collected": [item.nodeid for item in getattr(session, "items", [])],
        "deselected": _deselected,
        "outcomes": _outcomes,
        "reasons": _reasons,
    }
    Path(os.environ[RESULT_VARIABLE]).write_text(json.dumps(result), encoding="utf-8")
