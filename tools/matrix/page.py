"""A run of the matrix as one page: every cell and tier, to filter and to look into.

It needs no network and no server: style, script and data are in it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from tools.combinations import Cell
from tools.matrix.report import TIERS, Report, Spent, reproduction

# How much of a log the page shows: its end, in characters.
LONGEST_LOG = 20_000
TEMPLATE = Path(__file__).with_name("page.html.jinja")


def write_page(
    report: Report,
    cells: Sequence[Cell],
    cell_of: Mapping[str, str],
    logs: Path,
    conclusion: str,
) -> Path:
    """Write what a run found.

    Args:
        report: What was found.
        cells: The cells of the run.
        cell_of: By project, the id of its cell.
        logs: Directory of the logs, by project and tier, where the page is put too.
        conclusion: The run in a line.

    Returns:
        The page's path.
    """
    questions = list(dict.fromkeys(name for cell in cells for name in cell.answers))
    data = {
        "tiers": TIERS,
        "answers": {
            name: sorted({cell.answers[name] for cell in cells if name in cell.answers})
            for name in questions
        },
        "cells": list(_cells(report, cells, cell_of, logs)),
    }
    # A script ends with the first "</", whatever it is in.
    text = json.dumps(data).replace("</", "<\\/")
    jinja = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = jinja.from_string(TEMPLATE.read_text("utf-8")).render(
        conclusion=conclusion, data=text
    )
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _cells(
    report: Report, cells: Sequence[Cell], cell_of: Mapping[str, str], logs: Path
) -> Iterator[dict[str, Any]]:
    keys: dict[str, list[tuple[str, int]]] = {cell.id: [] for cell in cells}
    for key in report.findings:
        keys[cell_of[key[0]]].append(key)
    for cell in cells:
        failed = [key for key in keys[cell.id] if report.findings[key]]
        yield {
            "id": cell.id,
            "answers": dict(cell.answers),
            "tiers": {
                tier: _tier(report, [key for key in keys[cell.id] if key[1] == tier])
                for tier in TIERS
            },
            "failures": [
                {
                    "project": project,
                    "tier": TIERS[tier],
                    "findings": report.findings[project, tier],
                    "log": _end_of(logs / project / f"tier-{tier}.log"),
                }
                for project, tier in failed
            ],
            "command": reproduction(cell.id, {tier for _, tier in failed}),
        }


def _tier(report: Report, keys: Sequence[tuple[str, int]]) -> dict[str, Any] | None:
    if not keys:
        return None
    spent = sum((report.spent.get(key, Spent()) for key in keys), Spent())
    is_failed = any(report.findings[key] for key in keys)
    is_known = all(key in report.known for key in keys)
    return {
        "state": "failed" if is_failed else "as before" if is_known else "passed",
        "seconds": round(spent.processor_seconds, 2),
    }


def _end_of(log: Path) -> str:
    try:
        return log.read_text("utf-8", errors="replace")[-LONGEST_LOG:]
    except FileNotFoundError:
        return ""
