"""``python -m tools.grow_pairs``: grow by every pair of answers, and print a table."""

import argparse
import itertools
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.grow_pairs.pairs import Outcome, all_combinations, all_pairs, check, try_pair
from tools.grow_pairs.single import outcomes
from tools.matrix.report import Display


def main() -> int:
    """Print the table; fail where an edit is lost or a result is not sound."""
    parser = argparse.ArgumentParser(
        description="Grow a project by every pair of answers, and print the outcomes."
    )
    parser.add_argument("words", nargs="*", help="only pairs whose name has these")
    parser.add_argument("--list", action="store_true", help="only list the pairs")
    parser.add_argument(
        "--check",
        action="store_true",
        help="take what has no conflict through its own checks and tests",
    )
    parser.add_argument(
        "--single",
        action="store_true",
        help="grow small projects with one edit at a time, and print the conflicts",
    )
    parser.add_argument("--processes", type=int, help="how many at a time")
    options = parser.parse_args()
    if options.single:
        return _print_single()
    pairs = [
        pair
        for pair in all_pairs(all_combinations())
        if all(word in pair.name for word in options.words)
    ]
    if options.list:
        print(*(pair.name for pair in pairs), sep="\n")
        return 0
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="patterns-pairs-") as name:
        scratch = Path(name).resolve()
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
            for outcome in pool.map(try_pair, pairs, itertools.repeat(scratch)):
                outcomes.append(outcome)
                _print_outcome(outcome)
        if options.check:
            trees = sorted((scratch / "results").iterdir())
            report = check(trees, scratch, Display(Console()))
            by_tree = {outcome.pair.directory: outcome for outcome in outcomes}
            for (tree, _), findings in report.failures.items():
                by_tree[tree].faults += findings
            print(f"{len(trees)} of them through their own checks and tests")
    _print(outcomes)
    return int(any(outcome.word == "FAILED" for outcome in outcomes))


def _print_single() -> int:
    counted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="patterns-single-") as name:
        for framework, edit, reasons in outcomes(Path(name).resolve(), "medium"):
            counted["edits"] += 1
            counted["in conflict"] += bool(reasons)
            for path, reason in reasons.items():
                print(f"{framework}, {edit}: {path}: {reason}", flush=True)
    print(", ".join(f"{number} {what}" for what, number in counted.items()))
    return 0


def _print_outcome(outcome: Outcome) -> None:
    print(f"{outcome.word:<10} {outcome.pair.name}", flush=True)
    conflicts = [f"{path}: {why}" for path, why in outcome.conflicts.items()]
    for title, lines in (
        ("differs", outcome.differs),
        ("conflict", conflicts),
        ("lost", outcome.lost),
        ("fault", outcome.faults),
    ):
        for line in lines:
            print(f"           {title}: {line}")


def _print(outcomes: Sequence[Outcome]) -> None:
    table = Table("answer", "pairs", "clean", "conflicts", "files", "lost", "failed")
    counted: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for row in (outcome.pair.axis, "all"):
            count = counted.setdefault(row, Counter())
            count["pairs"] += 1
            count[outcome.word] += 1
            count["files"] += len(outcome.conflicts)
            count["lost"] += len(outcome.lost)
    total = counted.pop("all", Counter())
    for row, count in [*counted.items(), ("all", total)]:
        kinds = ("pairs", "clean", "conflicts", "files", "lost", "FAILED")
        table.add_row(row, *(str(count[kind]) for kind in kinds))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
