"""What growing does with every pair of answers: ``python -m python_patterns.pairs``.

For each ordered pair of values of one answer, a project of the first is grown into one
of the second: as it was generated, which must give the bytes of a fresh project, and
with the edits of ``edits``, each of which must be in the result or in a conflict. Where
there is none, the result must be as tidy as a fresh project, and its imports must find
what they name; ``--check`` takes it through its own checks and tests too. ``nox -s
grow`` prints the table.
"""

import argparse
import ast
import itertools
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import ruff
from rich.console import Console
from rich.table import Table

from python_patterns import edits, matrix
from python_patterns.bulk import Bulk
from python_patterns.cells import Cell, find_cells, select
from python_patterns.grow.git import GIT, Repository, Tree
from python_patterns.grow.modules import defined, module_of
from python_patterns.grow.plan import Merger, Plan
from python_patterns.render import FAMILY_ROOT
from python_patterns.report import OWN_TESTS, RENDER, TYPES, Display, Report

AXES = (
    "size",
    "layout",
    "worker",
    "database",
    "orm",
    "concurrency",
    "work",
    "websocket",
)
# One project of each kind; each pair differs from it in one answer.
BASES = (
    (
        "framework=fastapi",
        "purpose=api",
        "size=medium",
        "concurrency=async",
        "layout=layer",
        "database=sqlite",
        "worker=none",
    ),
    (
        "framework=fastapi",
        "purpose=api",
        "size=medium",
        "concurrency=async",
        "layout=layer",
        "database=none",
        "worker=none",
    ),
    (
        "framework=django",
        "purpose=api",
        "size=medium",
        "concurrency=async",
        "layout=layer",
        "database=sqlite",
        "worker=none",
        "websocket=no",
    ),
    (
        "framework=flask",
        "purpose=api",
        "size=medium",
        "concurrency=sync",
        "layout=layer",
        "database=sqlite",
        "worker=none",
    ),
    (
        "purpose=script",
        "size=medium",
        "concurrency=sync",
        "work=waiting",
        "layout=layer",
    ),
    (
        "purpose=worker",
        "size=medium",
        "concurrency=async",
        "layout=layer",
        "worker=celery",
    ),
    (
        "purpose=site",
        "size=medium",
        "concurrency=sync",
        "layout=layer",
        "database=sqlite",
        "worker=none",
    ),
    (
        "purpose=ml",
        "size=medium",
        "concurrency=sync",
        "layout=layer",
        "database=none",
        "worker=none",
    ),
)


@dataclass(frozen=True)
class Pair:
    """One step from a value to another.

    Attributes:
        old: The cell before.
        new: The cell after.
        axis: The answer that is changed.
    """

    old: Cell
    new: Cell
    axis: str

    @property
    def name(self) -> str:
        """The cell, and what becomes of it."""
        return f"{self.old.id} {self.axis}={self.new.answers[self.axis]}"

    @property
    def directory(self) -> str:
        """Its name, as that of a directory."""
        return self.name.replace(" ", "-")


@dataclass
class Outcome:
    """What became of one pair.

    Attributes:
        pair: The pair.
        differs: Files that differ from a fresh project's though nothing was edited.
        conflicts: Paths in conflict, with why.
        lost: Edits that are neither in the result nor in a conflict.
        faults: What is wrong with a result without a conflict.
    """

    pair: Pair
    differs: Sequence[str] = ()
    conflicts: Mapping[str, str] = field(default_factory=dict)
    lost: Sequence[str] = ()
    faults: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """The outcome in one word."""
        if self.differs or self.lost or self.faults:
            return "FAILED"
        return "conflicts" if self.conflicts else "clean"


def all_pairs(cells: Sequence[Cell]) -> list[Pair]:
    """List the ordered pairs around each base, each once."""
    found: dict[str, Pair] = {}
    for words in BASES:
        base = select(cells, words)[0]
        for axis in AXES:
            group: dict[str, Cell] = {}
            for cell in cells:
                others = {k: v for k, v in base.answers.items() if k != axis}
                if axis in cell.answers and all(
                    cell.answers.get(name, value) == value
                    for name, value in others.items()
                ):
                    group.setdefault(cell.answers[axis], cell)
            for old in group.values():
                for new in group.values():
                    if old is not new:
                        pair = Pair(old, new, axis)
                        found.setdefault(pair.name, pair)
    return list(found.values())


class Bench:
    """Renders cells once, and grows one into another without a template's history."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.home = scratch / "repository"
        self.home.mkdir(parents=True)
        self.bulk = Bulk(FAMILY_ROOT)
        subprocess.run((GIT, "init", "-q"), cwd=self.home, check=True)
        self.repository = Repository(self.home, scratch)
        self.rendered = cache(self._rendered)

    def _rendered(self, cell_id: str) -> Path:
        directory = self.scratch / "fresh" / cell_id
        cell = next(cell for cell in _cells() if cell.id == cell_id)
        self.bulk.render(cell.answers, directory)
        return directory

    def grow(self, old: Path, new: Path, own: Path) -> Plan:
        """Plan what becomes of a project between two renders."""
        before, after, mine = map(self.repository.import_directory, (old, new, own))
        work = self.scratch / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(new, work)
        return Merger(self.repository, before, after, mine, work).plan()

    def try_pair(self, pair: Pair, result: Path) -> Outcome:
        """Grow a project as it is, and with edits.

        Args:
            pair: From what, and into what.
            result: Directory for what becomes of the edited one without a conflict.
        """
        old, new = self.rendered(pair.old.id), self.rendered(pair.new.id)
        fresh = self.repository.import_directory(new)
        plain = self.grow(old, new, old).tree
        differs = sorted(
            path
            for path in plain.keys() | fresh.keys()
            if plain.get(path) != fresh.get(path)
        )
        own = self.scratch / "own"
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(old, own)
        edits.edit(own)
        plan = self.grow(old, new, own)
        conflicts = {
            one.path: plan.reasons.get(one.path, "conflict") for one in plan.conflicts
        }
        faults = [] if conflicts else self.faults(self.write(plan.tree, result))
        return Outcome(pair, differs, conflicts, edits.lost(self.texts(plan)), faults)

    def texts(self, plan: Plan) -> str:
        """Return all of a result: its files, and the sides of its conflicts."""
        ids = [entry.id for entry in plan.tree.values()]
        ids += [one.entry.id for one in plan.conflicts]
        self.repository.fetch_contents(ids)
        return "\n".join(
            self.repository.content(name).decode(errors="replace") for name in ids
        )

    def write(self, tree: Tree, directory: Path) -> Path:
        """Write a result's files."""
        shutil.rmtree(directory, ignore_errors=True)
        self.repository.fetch_contents(entry.id for entry in tree.values())
        for path, entry in tree.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.repository.content(entry.id))
        return directory

    @staticmethod
    def faults(directory: Path) -> list[str]:
        """Check a result as far as that takes no environment."""
        found = []
        for words in (("check", "--output-format", "concise"), ("format", "--check")):
            done = subprocess.run(
                (ruff.find_ruff_bin(), *words, "--no-cache"),
                cwd=directory,
                capture_output=True,
                check=False,
                text=True,
            )
            if done.returncode:
                found += [line for line in done.stdout.splitlines() if ".py" in line]
        return found + list(_missing_imports(directory))


def check(trees: Sequence[Path], scratch: Path, display: Display) -> Report:
    """Take projects through their own checks and tests, as the matrix does.

    Args:
        trees: The projects, in one directory.
        scratch: Directory for what is only needed meanwhile.
        display: Where progress and failures are shown.
    """
    options = matrix.Options(scratch / "logs", scratch / "checks")
    tiers = frozenset({RENDER, TYPES, OWN_TESTS})
    projects = [matrix.Project(one.name, one.name, one, tiers) for one in trees]
    return matrix.run(projects, options, display)


def _missing_imports(directory: Path) -> Iterator[str]:
    """Find imports of the project's own that name what is not there."""
    texts = {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*.py"))
    }
    modules = {module_of(path): path for path in texts}
    tops = {str(module).partition(".")[0] for module in modules if module}
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.level or node.module.partition(".")[0] not in tops:
                continue
            source = modules.get(node.module)
            known = _known(texts[source]) if source else set()
            for alias in node.names:
                is_module = f"{node.module}.{alias.name}" in modules
                if not is_module and alias.name not in {*known, "*"}:
                    yield f"{path}: {node.module} has no {alias.name}"


def _known(text: str) -> set[str]:
    imported = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return defined(text) | imported


@cache
def _bench(scratch: Path) -> Bench:
    """Return the bench of this process."""
    return Bench(scratch / f"process-{os.getpid()}")


def _try(pair: Pair, scratch: Path) -> Outcome:
    return _bench(scratch).try_pair(pair, scratch / "results" / pair.directory)


@cache
def _cells() -> tuple[Cell, ...]:
    return tuple(find_cells(FAMILY_ROOT))


def main() -> int:
    """Print the table; fail where an edit is lost or a result is not sound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only pairs whose name has these")
    parser.add_argument("--list", action="store_true", help="only list the pairs")
    parser.add_argument(
        "--check",
        action="store_true",
        help="take what has no conflict through its own checks and tests",
    )
    options = parser.parse_args()
    pairs = [
        pair
        for pair in all_pairs(_cells())
        if all(word in pair.name for word in options.words)
    ]
    if options.list:
        print(*(pair.name for pair in pairs), sep="\n")
        return 0
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="patterns-pairs-") as name:
        scratch = Path(name).resolve()
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(mp_context=context) as pool:
            for outcome in pool.map(_try, pairs, itertools.repeat(scratch)):
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
    table = Table("answer", "pairs", "clean", "conflicts", "edits lost", "failed")
    counted: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for row in (outcome.pair.axis, "all"):
            count = counted.setdefault(row, Counter())
            count["pairs"] += 1
            count[outcome.word] += 1
            count["lost"] += len(outcome.lost)
    total = counted.pop("all", Counter())
    for row, count in [*counted.items(), ("all", total)]:
        kinds = ("pairs", "clean", "conflicts", "lost", "FAILED")
        table.add_row(row, *(str(count[kind]) for kind in kinds))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
