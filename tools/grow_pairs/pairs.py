"""Pairs of answers, and what becomes of a project that grows from one to the other."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import ruff

from python_patterns import git
from python_patterns.git import Repository, Tree
from python_patterns.grow.modules import defined, module_of
from python_patterns.grow.plan import Merger, Plan
from python_patterns.imports import imports
from tools.combinations import Combination, find_combinations, select
from tools.grow_pairs import edits
from tools.matrix.report import OWN_TESTS, RENDER, TYPES, Display, Report
from tools.matrix.run import Options, Project, run
from tools.memoising_renderer import MemoisingRenderer
from tools.template import FAMILY_ROOT

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
SHOP = ("size=medium", "layout=layer", "database=sqlite", "worker=none")
# One project of each kind; each pair differs from it in one answer.
BASES = (
    ("framework=fastapi", "purpose=api", "concurrency=async", *SHOP),
    (
        *("framework=fastapi", "purpose=api", "concurrency=async", "size=medium"),
        *("layout=layer", "database=none", "worker=none"),
    ),
    ("framework=django", "purpose=api", "concurrency=async", *SHOP, "websocket=no"),
    ("framework=flask", "purpose=api", "concurrency=sync", *SHOP),
    (
        *("purpose=script", "size=medium", "concurrency=sync", "work=waiting"),
        "layout=layer",
    ),
    (
        *("purpose=worker", "size=medium", "concurrency=async", "layout=layer"),
        "worker=celery",
    ),
    ("purpose=site", "concurrency=sync", *SHOP),
    (
        *("purpose=ml", "size=medium", "concurrency=sync", "layout=layer"),
        *("database=none", "worker=none"),
    ),
)


@dataclass(frozen=True)
class Pair:
    """One step from a value to another.

    Attributes:
        old: The combination before.
        new: The combination after.
        axis: The answer that is changed.
    """

    old: Combination
    new: Combination
    axis: str

    @property
    def name(self) -> str:
        """The combination, and what becomes of it."""
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


def all_pairs(combinations: Sequence[Combination]) -> list[Pair]:
    """List the ordered pairs around each base, each once."""
    found: dict[str, Pair] = {}
    for words in BASES:
        base = select(combinations, words)[0]
        for axis in AXES:
            group: dict[str, Combination] = {}
            for combination in combinations:
                others = {k: v for k, v in base.answers.items() if k != axis}
                if axis in combination.answers and all(
                    combination.answers.get(name, value) == value
                    for name, value in others.items()
                ):
                    group.setdefault(combination.answers[axis], combination)
            for old in group.values():
                for new in group.values():
                    if old is not new:
                        pair = Pair(old, new, axis)
                        found.setdefault(pair.name, pair)
    return list(found.values())


class Workbench:
    """Renders each combination once, and grows one into another, at this version."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.home = scratch / "repository"
        self.home.mkdir(parents=True)
        self.renderer = MemoisingRenderer(FAMILY_ROOT)
        git.run("init", "-q", directory=self.home)
        self.repository = Repository(self.home, scratch)
        self.rendered = cache(self._rendered)

    def _rendered(self, combination_id: str) -> Path:
        directory = self.scratch / "fresh" / combination_id
        combination = next(
            combination
            for combination in all_combinations()
            if combination.id == combination_id
        )
        self.renderer.render(combination.answers, directory)
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
    for tree in trees:
        edits.document_setting(tree)
    options = Options(scratch / "logs", scratch / "checks")
    stages = frozenset({RENDER, TYPES, OWN_TESTS})
    projects = [Project(one.name, one.name, one, stages) for one in trees]
    return run(projects, options, display)


def _missing_imports(directory: Path) -> Iterator[str]:
    """Find imports of the project's own that name what is not there."""
    texts = {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*.py"))
    }
    modules = {module_of(path): path for path in texts}
    tops = {str(module).partition(".")[0] for module in modules if module}
    for path, text in texts.items():
        for _, one in imports(text):
            if not one.name or one.top not in tops:
                continue
            source = modules.get(one.module)
            known = _known(texts[source]) if source else set()
            is_module = f"{one.module}.{one.name}" in modules
            if not is_module and one.name not in {*known, "*"}:
                yield f"{path}: {one.module} has no {one.name}"


def _known(text: str) -> set[str]:
    return defined(text) | {one.bound for _, one in imports(text)}


@cache
def _workbench(scratch: Path) -> Workbench:
    """Return the workbench of this process."""
    return Workbench(scratch / f"process-{os.getpid()}")


def try_pair(pair: Pair, scratch: Path) -> Outcome:
    """Try a pair in this process; see ``Workbench.try_pair``."""
    return _workbench(scratch).try_pair(pair, scratch / "results" / pair.directory)


@cache
def all_combinations() -> tuple[Combination, ...]:
    """Return every combination of this family, found once in this process."""
    return tuple(find_combinations(FAMILY_ROOT))
