"""Mutation scores of generated projects: ``nox -s scores``.

A mutant is a generated project with one small change in its own code: another
comparison, a call that is dropped, an exception that is swallowed. The project's own
tests or its type checker should fail on it. The score is the share of mutants that
they catch, of those that change what the project does: ``equivalent.toml`` names the
others, with the reason. What only the linter finds (an import that is not used any
more) is counted apart, as not caught.

The same mutants are drawn again as long as the code is the same, for their order comes
from their text: a change elsewhere in a project hardly changes the sample.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ruff
from rich.console import Console

from tools.cookiecutter_family import Variant, find_variants
from tools.matrix.report import OWN_TESTS, TYPES, Display
from tools.matrix.run import DEFAULT_CACHE, Options, Project, run
from tools.scores.mutants import Mutant, mutants_of
from tools.template import FAMILY_ROOT, render

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
# How many mutants of each project are checked.
NUMBER = 40
TESTS = frozenset({OWN_TESTS})


def mutated(tree: Path, mutant: Mutant, destination: Path) -> Path:
    """Copy a project with one change.

    Args:
        tree: The project.
        mutant: The change.
        destination: Where the copy goes.

    Returns:
        ``destination``.
    """
    shutil.copytree(tree, destination)
    path = destination / mutant.file
    source = path.read_bytes()
    changed = source[: mutant.start] + mutant.new.encode() + source[mutant.end :]
    path.write_bytes(changed)
    return destination


@dataclass
class Score:
    """What became of the mutants of one variant.

    Attributes:
        variant: Its name.
        possible: How many mutants there are.
        caught: Those that the tests catch.
        typed: Those that only the type checker catches.
        linted: Those that only the linter catches.
        equivalent: Those that change nothing.
        survivors: The others.
    """

    variant: str
    possible: int
    caught: list[Mutant] = field(default_factory=list)
    typed: list[Mutant] = field(default_factory=list)
    linted: list[Mutant] = field(default_factory=list)
    equivalent: list[Mutant] = field(default_factory=list)
    survivors: list[Mutant] = field(default_factory=list)

    def share(self, *, central: bool = False, by_tests: bool = False) -> str:
        """The share that is caught of the mutants that are not equivalent.

        Args:
            central: Only of services, jobs, security and error handlers.
            by_tests: Only by tests, not by the type checker.
        """
        tested, typed, missed = (
            sum(one.is_central or not central for one in several)
            for several in (self.caught, self.typed, [*self.linted, *self.survivors])
        )
        total = tested + typed + missed
        caught = tested if by_tests else tested + typed
        return f"{100 * caught / total:.0f} % of {total}" if total else "-"


def equivalents() -> frozenset[str]:
    """Return the names of the mutants that change nothing."""
    rows = tomllib.loads(EQUIVALENT.read_text("utf-8"))["equivalent"]
    return frozenset(row["mutant"] for row in rows)


def _is_lint_clean(tree: Path) -> bool:
    command = (ruff.find_ruff_bin(), "check", "--quiet", "--no-cache", ".")
    done = subprocess.run(command, cwd=tree, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def measure(variants: Iterable[Variant], number: int, scratch: Path) -> list[Score]:
    """Check mutants of variants, all at once.

    Args:
        variants: The variants.
        number: How many mutants of each.
        scratch: Directory for projects.

    Returns:
        The score of each variant.

    Raises:
        RuntimeError: The tests of a project without a change fail.
    """
    known = equivalents()
    scores: list[Score] = []
    places: dict[str, tuple[Score, Mutant]] = {}
    originals: list[Project] = []
    projects: list[Project] = []
    for variant in variants:
        tree = render(variant.answers, scratch / variant.name)
        every = mutants_of(tree)
        originals.append(Project(variant.name, variant.name, tree, TESTS))
        score = Score(variant.name, len(every))
        scores.append(score)
        for place, mutant in enumerate(every[:number]):
            if mutant.name in known:
                score.equivalent.append(mutant)
                continue
            name = f"{variant.name}-{place}"
            copy = mutated(tree, mutant, scratch / name)
            places[name] = score, mutant
            projects.append(Project(name, variant.name, copy, TESTS))
    options = Options(DEFAULT_CACHE / "scores", scratch / "scratch", is_quick=True)
    display = Display(Console(stderr=True))

    def failing(several: Sequence[Project]) -> set[str]:
        """The matrix looks at format and linter's findings as well: not tests."""
        failures = run(several, options, display).failures
        return {name for name, stage in failures if stage == OWN_TESTS}

    if broken := sorted(failing(originals)):
        raise RuntimeError(f"Tests fail without a change: {', '.join(broken)}.")
    failed = failing(projects)
    left = [one for one in projects if one.id not in failed]
    checks = [replace(one, stages=frozenset({TYPES})) for one in left]
    failures = run(checks, options, display).failures
    typed = {name for name, stage in failures if stage == TYPES}
    linted = {one.id for one in left if not _is_lint_clean(one.tree)}
    for name, (score, mutant) in places.items():
        if name in failed:
            score.caught.append(mutant)
        elif name in typed:
            score.typed.append(mutant)
        elif name in linted:
            score.linted.append(mutant)
        else:
            score.survivors.append(mutant)
    return scores


def main(words: Sequence[str] | None = None) -> int:
    """Print the mutants that the tests did not catch, and the scores as Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.scores",
        description="Measure which small faults the tests of generated projects catch.",
    )
    parser.add_argument("variants", nargs="*", help="only these (default: all)")
    parser.add_argument(
        "--number", type=int, default=NUMBER, help="mutants of each (%(default)s)"
    )
    options = parser.parse_args(words)
    every = {variant.name: variant for variant in find_variants(FAMILY_ROOT)}
    if unknown := [name for name in options.variants if name not in every]:
        parser.error(f"No variant is called {', '.join(unknown)}.")
    chosen = [every[name] for name in options.variants or every]
    with tempfile.TemporaryDirectory(prefix="patterns-scores-") as name:
        scores = list(measure(chosen, options.number, Path(name).resolve()))
    console = Console(soft_wrap=True, highlight=False)
    for score in scores:
        missed = [("", one) for one in score.survivors]
        missed += [("only by lint: ", one) for one in score.linted]
        for by, one in missed:
            console.print(
                f"{score.variant}: {by}{one.file}:{one.line} {one.kind} in "
                f"{one.function}: {one.old!r} -> {one.new!r}",
                markup=False,
            )
    console.print(
        "| variant | mutants | drawn | equivalent | caught | by tests alone "
        "| in central code | only by lint | not caught |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for score in scores:
        drawn = (score.caught, score.typed, score.linted, score.survivors)
        cells = (
            score.variant,
            score.possible,
            sum(map(len, (*drawn, score.equivalent))),
            len(score.equivalent),
            score.share(),
            score.share(by_tests=True),
            score.share(central=True),
            len(score.linted),
            len(score.survivors),
        )
        console.print(f"| {' | '.join(map(str, cells))} |", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
