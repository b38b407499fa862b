"""A pytest plugin that writes down what ran and what did not pass, for the matrix.

An exit code does not say how many tests ran: ``os._exit(0)`` in a test, a collection
that found nothing, or skips all end in 0. The outcomes are pytest's own reports, as its
terminal reporter sorts them. ``--junitxml`` and pytest-reportlog write them too, but
neither has the tests that were collected and did not run, nor those that were
deselected.

The matrix copies this file beside a project's tests; a session that dies writes no
result. So it imports nothing that is not in every project's environment.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

RESULT_VARIABLE = "PYTHON_PATTERNS_OUTCOMES"


def _reason(report: "pytest.CollectReport | pytest.TestReport") -> str:
    text = report.longreprtext
    if isinstance(report.longrepr, tuple):  # a skip: path, line, reason
        text = str(report.longrepr[2])
    errors = [line[2:].strip() for line in text.splitlines() if line[:2] == "E "]
    return (errors or text.splitlines() or [""])[0]


def pytest_sessionfinish(session: "pytest.Session") -> None:
    """Write the result.

    Args:
        session: The session that ends; its ``items`` are the tests that were collected.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    reports = [
        one for several in stats.values() for one in several if hasattr(one, "outcome")
    ]
    result = {
        "collected": [item.nodeid for item in getattr(session, "items", [])],
        "deselected": [item.nodeid for item in stats.get("deselected", [])],
        "ran": sorted({report.nodeid for report in reports}),
        "not_passed": [
            (report.nodeid, report.outcome, _reason(report))
            for report in reports
            if report.outcome != "passed"
        ],
    }
    Path(os.environ[RESULT_VARIABLE]).write_text(json.dumps(result), encoding="utf-8")
