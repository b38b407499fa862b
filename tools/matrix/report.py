"""What a run of the matrix found, and how it is shown."""

import resource
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

RENDER, TYPES, OWN_TESTS, BUILD = 1, 2, 3, 4
STAGES = {RENDER: "render", TYPES: "types", OWN_TESTS: "own tests", BUILD: "build"}
SECONDS_BETWEEN_LINES = 15
LONGEST_FINDING = 240
MEMORY_INFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of the processor."""

    seconds: float = 0.0
    processor_seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Add up."""
        return Spent(
            self.seconds + other.seconds,
            self.processor_seconds + other.processor_seconds,
        )


class Display:
    """Progress with the time left: a bar in a terminal, else a line now and then."""

    def __init__(self, console: Console) -> None:
        """Show it there."""
        self.console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def line(self, text: str) -> None:
        """Print one line, as it is."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def each[T](self, what: str, results: Iterable[T], total: int) -> Iterator[T]:
        """Yield results as they come, showing how many are still to come."""
        start = last = time.monotonic()
        with self._bar as bar:
            task = bar.add_task(what, total=total)
            for done, result in enumerate(results, start=1):
                yield result
                bar.advance(task)
                now = time.monotonic()
                if bar.disable and now - last > SECONDS_BETWEEN_LINES:
                    last = now
                    left = (now - start) / done * (total - done)
                    self.line(f"{what}: {done} of {total}, {left:.0f} s left")
            bar.remove_task(task)


@dataclass
class Report:
    """What a run found.

    Attributes:
        display: Where failures are shown, as they come.
        findings: By project and stage, what is wrong; an empty list is a pass.
        spent: By project and stage, the time that it took.
        known: Projects and stages that passed in an earlier run.
    """

    display: Display
    findings: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    spent: dict[tuple[str, int], Spent] = field(default_factory=dict)
    known: set[tuple[str, int]] = field(default_factory=set)

    @property
    def failures(self) -> dict[tuple[str, int], list[str]]:
        """The findings of what did not pass."""
        return {key: errors for key, errors in self.findings.items() if errors}

    def add(self, project: str, stage: int, errors: list[str], spent: Spent) -> None:
        """Add the findings of one stage of one project."""
        key = project, stage
        self.findings.setdefault(key, []).extend(errors)
        self.spent[key] = self.spent.get(key, Spent()) + spent
        if errors:
            self.display.line(
                f"FAIL {project}, stage {stage} {STAGES[stage]}: {shortened(errors[0])}"
            )

    def add_known(self, project: str, stage: int) -> None:
        """Add a stage that a project passed in an earlier run."""
        self.findings.setdefault((project, stage), [])
        self.known.add((project, stage))


def summary(report: Report, combination_of: Mapping[str, str]) -> Iterator[str]:
    """Summarise the stages, and name the command that repeats each failure.

    Args:
        report: What was found.
        combination_of: By project, its combination.
    """
    combinations = len(set(combination_of.values()))
    for stage, name in STAGES.items():
        keys = [key for key in report.findings if key[1] == stage]
        if keys:
            spent = sum((report.spent.get(key, Spent()) for key in keys), Spent())
            used = spent.processor_seconds
            yield (
                f"stage {stage} {name:10} {len(keys):4} projects, "
                f"{sum(key in report.known for key in keys):4} as before, "
                f"{sum(bool(report.findings[key]) for key in keys):3} failed, "
                f"{spent.seconds:7.1f} s, "
                f"processor {used:7.1f} s, {used / combinations:5.2f} s a combination"
            )
    failures: dict[str, list[tuple[int, str]]] = {}
    for (project, stage), errors in sorted(report.failures.items()):
        found = [(stage, error) for error in errors]
        failures.setdefault(combination_of[project], []).extend(found)
    for combination, found in failures.items():
        stage, error = min(found, key=lambda pair: pair[0])
        yield (
            f"{combination}: {len(found)} findings, "
            f"first in stage {stage}: {shortened(error)}"
        )
        yield f"    {reproduction(combination, {stage for stage, _ in found})}"


def reproduction(combination: str, stages: Iterable[int]) -> str:
    """Return the command that repeats what failed, and leaves the project."""
    numbers = ",".join(map(str, sorted(stages)))
    return f"nox -s matrix -- {combination} --stages {numbers} --keep DIR"


def cost(combinations: int, memory: float) -> str:
    """Return what the run took in all, with what its stages share.

    Args:
        combinations: How many there were.
        memory: The most that was in use at one time, in bytes.
    """
    mine, others = map(resource.getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN))
    used = mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime
    return (
        f"processor {used:.0f} s in all, {used / combinations:.2f} s a combination, "
        f"memory {memory / 2**30:.1f} GiB at most"
    )


@contextmanager
def watched_memory() -> Iterator[list[float]]:
    """Watch how much more memory this machine uses than before, where Linux says it.

    Yields:
        A list whose only element is the most so far, in bytes.
    """
    most = [0.0]
    ended = threading.Event()
    before = _available()

    def watch() -> None:
        while not ended.wait(0.5):
            most[0] = max(most[0], before - _available())

    thread = threading.Thread(target=watch, daemon=True)
    if before:
        thread.start()
    try:
        yield most
    finally:
        ended.set()


def _available() -> float:
    try:
        text = MEMORY_INFO.read_text("ascii")
    except OSError:
        return 0.0
    (line,) = [one for one in text.splitlines() if one.startswith("MemAvailable:")]
    return float(line.split()[1]) * 1024


def write_findings(report: Report, logs: Path) -> None:
    """Write all that is wrong into one file."""
    logs.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{project}, stage {stage} {STAGES[stage]}: {error}\n"
        for (project, stage), errors in sorted(report.failures.items())
        for error in errors
    ]
    (logs / "findings.txt").write_text("".join(lines), encoding="utf-8")


def reasons(counted: Mapping[str, Sequence[str]], most: int = 8) -> Iterator[str]:
    """Return why projects are checked that may have passed before.

    Args:
        counted: By project, what is not as it was: files, or other words.
        most: How many different reasons are named.
    """
    found = Counter(reason for several in counted.values() for reason in several)
    for reason, number in found.most_common(most):
        yield f"    {reason}: {number} project{'s' if number > 1 else ''}"
    if len(found) > most:
        yield f"    and {len(found) - most} more"


def shortened(text: str) -> str:
    """Cut a finding to what a line takes; the log has all of it."""
    return text if len(text) <= LONGEST_FINDING else f"{text[:LONGEST_FINDING]}…"
