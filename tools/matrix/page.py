"""A run of the matrix as one page, with every combination and stage.

The page needs no network and no server: style, script and data are in it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from tools.combinations import Combination, values_of
from tools.matrix.report import STAGES, Report, Spent, reproduction

# How much of a log the page shows: its end, in characters.
LONGEST_LOG = 20_000
TEMPLATE = Path(__file__).with_name("page.html.jinja")


def write_page(
    report: Report,
    combinations: Sequence[Combination],
    combination_of: Mapping[str, str],
    logs: Path,
    conclusion: str,
) -> Path:
    """Write what a run found.

    Args:
        report: What was found.
        combinations: The combinations of the run.
        combination_of: By project, the id of its combination.
        logs: Directory of the logs, by project and stage, where the page is put too.
        conclusion: The run in a line.

    Returns:
        The page's path.
    """
    data = {
        "stages": STAGES,
        "answers": {
            name: sorted(values) for name, values in values_of(combinations).items()
        },
        "combinations": list(_combinations(report, combinations, combination_of, logs)),
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


def _combinations(
    report: Report,
    combinations: Sequence[Combination],
    combination_of: Mapping[str, str],
    logs: Path,
) -> Iterator[dict[str, Any]]:
    keys: dict[str, list[tuple[str, int]]] = {
        combination.id: [] for combination in combinations
    }
    for key in report.findings:
        keys[combination_of[key[0]]].append(key)
    for combination in combinations:
        failed = [key for key in keys[combination.id] if report.findings[key]]
        yield {
            "id": combination.id,
            "answers": dict(combination.answers),
            "stages": {
                stage: _stage(
                    report, [key for key in keys[combination.id] if key[1] == stage]
                )
                for stage in STAGES
            },
            "failures": [
                {
                    "project": project,
                    "stage": STAGES[stage],
                    "findings": report.findings[project, stage],
                    "log": _end_of(logs / project / f"stage-{stage}.log"),
                }
                for project, stage in failed
            ],
            "command": reproduction(combination.id, {stage for _, stage in failed}),
        }


def _stage(report: Report, keys: Sequence[tuple[str, int]]) -> dict[str, Any] | None:
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
