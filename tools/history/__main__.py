"""``python -m tools.history``: update projects of older commits, and print a table."""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.history.updates import History, Outcome
from tools.template import FAMILY_ROOT

VARIANTS = ("api-medium", "api-sync", "flask-medium", "django-api", "site", "worker")


def _cells(outcome: Outcome) -> tuple[str, str]:
    if outcome.failed:
        return "failed", "-"
    return str(len(outcome.lost)), str(len(outcome.conflicts))


def main() -> int:
    """Print the table; fail where ``patterns update`` lost a line or refused."""
    parser = argparse.ArgumentParser(description="Update projects of older commits.")
    parser.add_argument("commits", nargs="*", help="which; ten that are evenly spread")
    parser.add_argument("--number", type=int, default=10, help="how many commits")
    parser.add_argument("--variant", action="append", help="only this; can be repeated")
    options = parser.parse_args()
    table = Table(
        *("commit", "variant", "lines", "lost", "conflicts"),
        *("lost by copier", "conflicts"),
    )
    totals = [0] * 5
    is_well = True
    with tempfile.TemporaryDirectory(prefix="patterns-history-") as name:
        history = History(Path(name).resolve(), FAMILY_ROOT)
        for commit in options.commits or history.commits(options.number, VARIANTS):
            for variant in options.variant or VARIANTS:
                row = history.update(commit, variant)
                if row is None:
                    continue
                print(f"{commit} {variant}: {row.patterns}; copier: {row.copier}")
                print("\n".join(f"  lost {word}" for word in row.patterns.lost), end="")
                print(
                    "\n".join(f"  {path}" for path in row.patterns.conflicts),
                    flush=True,
                )
                is_well &= not row.patterns.lost and not row.patterns.failed
                cells = (*_cells(row.patterns), *_cells(row.copier))
                table.add_row(commit, variant, str(row.lines), *cells)
                for number, cell in enumerate((str(row.lines), *cells)):
                    totals[number] += int(cell) if cell.isdigit() else 0
    table.add_row("all", "", *map(str, totals))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
