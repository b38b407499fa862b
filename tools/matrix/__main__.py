"""``python -m tools.matrix``: the command line of the matrix."""

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Never

from rich.console import Console

from tools import servers
from tools.combinations import (
    Combination,
    SelectionError,
    find_combinations,
    sample,
    select,
)
from tools.matrix.page import write_page
from tools.matrix.report import (
    RENDER,
    STAGES,
    Display,
    cost,
    summary,
    watched_memory,
    write_findings,
)
from tools.matrix.run import DEFAULT_CACHE, JOBS, Options, projects_of, run
from tools.template import FAMILY_ROOT, copy_template


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.matrix",
        description="Render, check, test and build every combination of answers.",
    )
    parser.add_argument(
        "selection",
        nargs="*",
        help="answer=value[,value...], all of which must hold, or ids of combinations",
    )
    parser.add_argument(
        "--stages",
        default="1,2,3,4",
        help="which, of 1 render, 2 types, 3 own tests, 4 build (1 is always run)",
    )
    parser.add_argument("--python", default="3.13", help="version of Python")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--keep", type=Path, help="directory to leave the projects in")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument(
        "--all", action="store_true", help="take every combination through all stages"
    )
    parser.add_argument(
        "--shard",
        default="1/1",
        metavar="I/N",
        help="take the I-th of N parts of the combinations, for N machines",
    )
    parser.add_argument(
        "--lowest",
        action="store_true",
        help="check with the oldest versions of libraries that the projects declare",
    )
    parser.add_argument(
        "--list", action="store_true", help="only list the combinations' ids"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="first remove environments, caches and what is known to pass",
    )
    arguments = parser.parse_args(words)
    if arguments.all and arguments.selection:
        parser.error("Give a selection or --all, not both.")
    try:
        stages = {int(text) for text in arguments.stages.split(",")}
    except ValueError:
        stages = {0}
    if not stages <= set(STAGES):
        parser.error(f"--stages takes numbers of {', '.join(map(str, STAGES))}.")
    arguments.stages = frozenset(stages | {RENDER})
    shard = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", arguments.shard)
    if not shard or int(shard[1]) > int(shard[2]):
        parser.error("--shard takes a part and the number of parts, such as 1/4.")
    arguments.shard = int(shard[1]), int(shard[2])
    arguments.jobs = min(max(arguments.jobs, 1), servers.REDIS_DATABASES)
    return arguments


def shard(
    combinations: Sequence[Combination], part: int, parts: int
) -> list[Combination]:
    """Return a part of the combinations; neighbours share environments.

    Args:
        combinations: All of them.
        part: Which part, from 1.
        parts: How many there are.
    """
    start, end = (len(combinations) * number // parts for number in (part - 1, part))
    return list(combinations[start:end])


def _stop(_signal: int, _frame: object) -> Never:
    raise KeyboardInterrupt


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: Arguments; those of the process where missing.

    Returns:
        The exit status: 0 where every project passed, 1 where some failed, 2 for a
        selection that names no combination, 130 for a run that was stopped.
    """
    arguments = _arguments(words)
    try:
        combinations = select(find_combinations(FAMILY_ROOT), arguments.selection)
    except SelectionError as error:
        print(error, file=sys.stderr)
        return 2
    is_sample = not arguments.all and not arguments.selection
    taken = sample(combinations) if is_sample else combinations
    left = {combination.id for combination in combinations} - {
        combination.id for combination in taken
    }
    combinations = shard(combinations, *arguments.shard)
    left &= {combination.id for combination in combinations}
    if not combinations:
        print("There are fewer combinations than parts: this part has none.")
        return 0
    if arguments.list:
        print("\n".join(combination.id for combination in combinations))
        return 0

    cache: Path = arguments.cache.resolve()
    for directory in ("environments", "slots", "results") if arguments.fresh else ():
        shutil.rmtree(cache / directory, ignore_errors=True)
    logs = cache / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    signal.signal(signal.SIGTERM, _stop)
    display = Display(Console())
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="python-patterns-matrix-") as scratch,
        watched_memory() as most,
    ):
        trees = (
            arguments.keep.resolve() if arguments.keep else Path(scratch, "projects")
        )
        family = copy_template(FAMILY_ROOT, Path(scratch, "family"))
        projects = projects_of(combinations, family, trees, arguments.stages, left)
        for project in projects:
            shutil.rmtree(project.tree, ignore_errors=True)
        options = Options(
            logs=logs,
            scratch=Path(scratch),
            python=arguments.python,
            jobs=arguments.jobs,
            cache=cache,
            renders_all=arguments.keep is not None,
            lowest=arguments.lowest,
        )
        try:
            report = run(projects, options, display)
        except KeyboardInterrupt:
            display.line("Stopped.")
            return 130
        (memory,) = most
    write_findings(report, logs)
    combination_of = {project.id: project.combination for project in projects}
    for line in summary(report, combination_of):
        display.line(line)
    if left:
        file = logs / "left.txt"
        names = [
            f"{combination.id}\n"
            for combination in combinations
            if combination.id in left
        ]
        file.write_text("".join(names), encoding="utf-8")
        display.line(
            f"{len(left)} combinations went through stage 1 only and are left to "
            f"--all; their ids are in {file}"
        )
    display.line(cost(len(combinations), memory))
    failed = {project for project, _ in report.failures}
    conclusion = (
        f"{len(combinations)} combinations, {len(projects)} projects, "
        f"{len(failed)} failed, {time.monotonic() - start:.0f} s"
    )
    display.line(f"{conclusion}; logs in {logs}")
    page = write_page(
        report, combinations, combination_of, logs, f"{options.name}: {conclusion}"
    )
    display.line(f"report: {page}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
