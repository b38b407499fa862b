"""What the template costs: ratios, each measured side by side in one run.

``python -m tools.bench [--quick]`` or ``nox -s bench -- [--quick]``.

Times depend on the machine, ratios hardly: A and B take turns, and the two values of a
round are compared. A ratio beyond its limit is shown as such and fails nothing: a busy
machine would be enough for that. The projects are what the default answers give for
each framework, each in an environment of its own declarations, against the application
of ``baselines/`` in the same one. Requests are sent by wrk, which has to be on
``PATH``.
"""

import argparse
import http.client
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from python_patterns.questions import libraries_of, load_config
from tools import crash, live, servers
from tools.template import FAMILY_ROOT, copy_template, render

BASELINES = Path(__file__).with_name("baselines")
CONNECTIONS = 8
WRK = shutil.which("wrk")

# Three users with 200 products.
FILL = """
import os
import sqlite3
import sys

path = os.environ["DATABASE_URL"].partition(":///")[2]
with sqlite3.connect(path) as connection:
    connection.executemany(
        f"INSERT INTO {sys.argv[1]}",
        [(n, f"user{n}@example.com", f"User {n}", "") for n in range(1, 4)],
    )
    connection.executemany(
        f"INSERT INTO {sys.argv[2]}",
        [(f"Product {n}", "A thing." * 10, 100 * n, n % 3 + 1) for n in range(200)],
    )
"""


@dataclass(frozen=True)
class Framework:
    """What the project of one framework is measured against.

    Attributes:
        name: As the answer.
        made_of: The modules of its frameworks, to import.
        server: Serves the baseline.
        concurrency: As the answer.
        users: The table of users, and what is stored in it.
        products: The table of products, and what is stored in it.
        boot: The limit of the time until the first answer.
        list: The limit of the rate of lists.
    """

    name: str
    made_of: str
    server: tuple[str, ...]
    concurrency: str = "sync"
    users: str = "users (id, email, name, password_hash) VALUES (?, ?, ?, ?)"
    products: str = (
        "products (name, description, price_cents, owner_id) VALUES (?, ?, ?, ?)"
    )
    boot: float = 1.6
    list: float = 0.75


FRAMEWORKS = (
    Framework(
        "fastapi",
        "fastapi, sqlalchemy.ext.asyncio",
        ("uvicorn", "fastapi_app:app"),
        concurrency="async",
    ),
    Framework(
        "flask",
        "flask, spectree, pydantic, sqlalchemy.orm",
        ("gunicorn", "--worker-class", "gthread", "--threads", "8", "flask_app:app"),
        boot=1.8,
        list=0.7,
    ),
    Framework(
        "django",
        # REST framework cannot be imported without settings: so with the smallest.
        "django_app",
        ("gunicorn", "--threads", "8", "django_app:application"),
        users="users_user (id, email, name, password,"
        " is_superuser, is_staff, is_active, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, 0, 0, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
        products="products_product (name, description, price_cents, owner_id,"
        " created_at, updated_at)"
        " VALUES (?, ?, ?, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
        boot=1.8,
        list=0.7,
    ),
)


@dataclass(frozen=True)
class Rounds:
    """How long to measure.

    Attributes:
        slow: Rounds of what takes a second.
        fast: Rounds of what takes a fraction of it.
        load: Rounds of requests.
        load_seconds: How long requests are sent in each of them.
    """

    slow: int = 7
    fast: int = 11
    load: int = 7
    load_seconds: int = 2


QUICK = Rounds(slow=3, fast=5, load=3, load_seconds=1)


@dataclass(frozen=True)
class Comparison:
    """What was measured of two things, taking turns.

    Attributes:
        what: What was measured.
        against: What the second one is.
        this: Of the template or its project, one value a round.
        that: Of the second one, in the same rounds.
        unit: The unit of all values.
        limit: The ratio's upper limit for times, the lower one for rates.
    """

    what: str
    against: str
    this: Sequence[float]
    that: Sequence[float]
    unit: str = "s"
    limit: float | None = None

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: what slows a whole round cancels out."""
        pairs = zip(self.this, self.that, strict=True)
        return statistics.median(this / that for this, that in pairs)

    @property
    def verdict(self) -> str:
        """The limit, and whether it is missed."""
        if self.limit is None:
            return ""
        is_rate = self.unit.endswith("/s")
        kept = self.ratio >= self.limit if is_rate else self.ratio <= self.limit
        return f"{'>=' if is_rate else '<='} {self.limit}{'' if kept else ' MISSED'}"


def take_turns(
    measures: Sequence[Callable[[], float]], rounds: int
) -> list[list[float]]:
    """Measure in turns, after one call of each to warm up.

    Args:
        measures: Each measures once and returns the result.
        rounds: How often.

    Returns:
        For each of the measures its results, one a round.
    """
    for measure in measures:
        measure()
    results: list[list[float]] = [[] for _ in measures]
    for number in range(rounds):
        # Every other round backwards: who comes second finds warmer caches.
        turns = list(zip(measures, results, strict=True))
        for measure, found in turns if number % 2 == 0 else reversed(turns):
            found.append(measure())
    return results


def seconds_of(
    command: Sequence[str | Path], directory: Path, variables: Mapping[str, str]
) -> float:
    """Run a program to its end and return its time by the clock.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    start = time.perf_counter()
    subprocess.run(
        command, cwd=directory, env=dict(variables), check=True, capture_output=True
    )
    return time.perf_counter() - start


# --- Generation -----------------------------------------------------------------------


def plain_template(directory: Path) -> Path:
    """Make a directory a template that has no questions and copies its files.

    Args:
        directory: Where the files are; ``README.md`` is made where it is missing.

    Returns:
        ``directory``.
    """
    config = load_config(FAMILY_ROOT)
    kept = {name: config[name] for name in ("_min_copier_version", "_envops")}
    directory.mkdir(exist_ok=True)
    (directory / "copier.yml").write_text(yaml.safe_dump(kept), encoding="utf-8")
    (directory / "README.md").touch()
    return directory


def measure_generation(scratch: Path, rounds: Rounds) -> Iterator[Comparison]:
    """Compare the default project's generation with that of nothing.

    And with copying the same files as they are: what remains is the price of the
    questions and of the templates.
    """
    copied = render({}, scratch / "copied")
    (copied / ".copier-answers.yml").unlink()
    templates = (
        copy_template(FAMILY_ROOT, scratch / "family"),
        plain_template(scratch / "empty"),
        plain_template(copied),
    )

    def copy(template: Path) -> float:
        destination = scratch / "generated"
        command = (sys.executable, "-m", "copier", "copy", "--defaults")
        spent = seconds_of((*command, template, destination), scratch, os.environ)
        shutil.rmtree(destination)
        return spent

    measures = [partial(copy, template) for template in templates]
    ours, empty, same = take_turns(measures, rounds.slow)
    yield Comparison("generation", "an empty template", ours, empty, limit=1.5)
    yield Comparison("generation", "its files, only copied", ours, same)


# --- The project ----------------------------------------------------------------------


def make_projects(
    framework: Framework, scratch: Path
) -> tuple[live.Project, live.Project]:
    """Make a framework's project with a filled database, and the baseline beside it.

    Returns:
        The project, and one that has its environment and its database but
        serves the baseline.
    """
    answers = {"framework": framework.name, "concurrency": framework.concurrency}
    tree = render(answers, scratch / "project")
    project = live.make(
        tree,
        logs=scratch / "logs",
        variables={"DATABASE_URL": f"sqlite:///{scratch / 'bench.db'}"},
    )
    project.prepare()
    project.run(("python", "-c", FILL, framework.users, framework.products))

    commands = replace(project.commands, server=framework.server)
    return project, baseline_of(project, f"{framework.name}_app", commands, scratch)


def baseline_of(
    project: live.Project, module: str, commands: live.Commands, scratch: Path
) -> live.Project:
    """Return a baseline in the environment and with the settings of a project.

    Args:
        project: The project.
        module: The module of ``baselines/``.
        commands: The commands that run it.
        scratch: Directory for it.
    """
    directory = scratch / "baseline"
    directory.mkdir()
    shutil.copy(BASELINES / f"{module}.py", directory)
    return replace(
        project,
        tree=directory,
        variables={**project.variables, "PYTHONPATH": str(directory)},
        commands=commands,
        logs=scratch / "baseline-logs",
    )


def in_production(project: live.Project) -> live.Project:
    """Return the project with the settings of production."""
    return replace(project, variables={**project.variables, **live.PRODUCTION})


def measure_imports(
    framework: Framework, project: live.Project, baseline: live.Project, rounds: Rounds
) -> Iterator[Comparison]:
    """Compare the time to import the project with that of its frameworks.

    Each in a fresh interpreter, with its start; bytecode is there already.
    """

    def importing(one: live.Project, modules: str) -> Callable[[], float]:
        command = one.command(("python", "-c", f"import {modules}"))
        return lambda: seconds_of(command, one.tree, one.variables)

    (module,) = (
        word.partition(":")[0] for word in project.commands.server if ":" in word
    )
    ours, alone, frameworks, theirs = take_turns(
        [
            importing(project, module),
            importing(baseline, framework.name),
            importing(baseline, framework.made_of),
            importing(baseline, f"{framework.name}_app"),
        ],
        rounds.fast,
    )
    yield Comparison("import", f"import {framework.name}", ours, alone)
    against = f"import {framework.made_of}"
    yield Comparison("import", against, ours, frameworks, limit=1.6)
    if framework.made_of != f"{framework.name}_app":
        yield Comparison("import", "the baseline", ours, theirs)


def measure_boot(
    framework: Framework, project: live.Project, baseline: live.Project, rounds: Rounds
) -> Iterator[Comparison]:
    """Compare the time from the start of the server to its first answer."""

    def booting(one: live.Project) -> Callable[[], float]:
        def boot() -> float:
            start = time.perf_counter()
            with one.server("/health/live", pause=0.005) as (process, _):
                spent = time.perf_counter() - start
                live.stop(process)
            return spent

        return boot

    ours, theirs = take_turns([booting(project), booting(baseline)], rounds.fast)
    limit = framework.boot
    yield Comparison("boot", "the baseline", ours, theirs, limit=limit)


# --- Requests -------------------------------------------------------------------------


class LoadError(Exception):
    """A server gave an answer that was not to be expected."""


def _check_answer(port: int, path: str) -> None:
    """Check that a request is answered, and not redirected: wrk counts that as well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.request("GET", path, headers=live.HTTPS)
        status = connection.getresponse().status
    if status != http.HTTPStatus.OK:
        raise LoadError(f"GET {path} is answered with {status}.")


def requests_per_second(port: int, path: str, seconds: int) -> float:
    """Send requests with wrk over a few connections that stay open.

    Args:
        port: The server's port on 127.0.0.1.
        path: What is asked for.
        seconds: How long.

    Raises:
        LoadError: An answer is no 200, or a connection is closed.
    """
    assert WRK  # noqa: S101 - see main
    _check_answer(port, path)
    (header,) = map(": ".join, live.HTTPS.items())
    done = subprocess.run(
        (
            *(WRK, "--threads", "1", "--connections", str(CONNECTIONS)),
            *("--duration", f"{seconds}s", "--header", header),
            f"http://127.0.0.1:{port}{path}",
        ),
        check=True,
        capture_output=True,
        text=True,
    )
    rate = re.search(r"^Requests/sec: +([\d.]+)$", done.stdout, re.MULTILINE)
    if not rate or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise LoadError(done.stdout)
    return float(rate[1])


@contextmanager
def _silent(project: live.Project) -> Iterator[int]:
    """Run a project's server with its output thrown away, and give its port."""
    with project.server("/health/live", log=Path(os.devnull)) as (_, port):
        yield port


def measure_requests(
    framework: Framework, project: live.Project, baseline: live.Project, rounds: Rounds
) -> Iterator[Comparison]:
    """Compare how many requests the servers answer, in development and production."""
    modes = {"development": project, "production": in_production(project)}
    paths = {
        "health": ("/health/live", 0.85),
        "list": ("/products?limit=20", framework.list),
    }
    with _silent(baseline) as reference:
        for mode, one in modes.items():
            with _silent(one) as port:
                for name, (path, limit) in paths.items():
                    measures = [
                        partial(requests_per_second, at, path, rounds.load_seconds)
                        for at in (port, reference)
                    ]
                    ours, theirs = take_turns(measures, rounds.load)
                    what, against = f"{name}, {mode}", "the baseline"
                    yield Comparison(what, against, ours, theirs, "requests/s", limit)


# --- Jobs -----------------------------------------------------------------------------

JOBS = 300
# Starts the baseline worker of each library.
BASELINE_WORKERS = {
    name: tuple(row["baseline"].split())
    for name, row in libraries_of(FAMILY_ROOT).items()
    if "baseline" in row
}


def jobs_per_second(
    project: live.Project, enqueue: Sequence[str], pages: crash.Pages, port: int
) -> float:
    """Measure a worker on enqueued jobs, counted where they have their effect.

    Args:
        project: What the worker is of.
        enqueue: Enqueues ``JOBS`` jobs, each of which asks for a page.
        pages: The pages.
        port: The broker's on 127.0.0.1.
    """
    pages.asked.clear()
    servers.empty_redis(port, 0)
    project.run(enqueue)
    with project.worker() as process:
        live.wait_until(lambda: bool(pages.asked), "the first job", pause=0.001)
        start, before = time.perf_counter(), len(pages.asked)
        live.wait_until(
            lambda: len(pages.asked) >= JOBS, "all jobs", seconds=180, pause=0.001
        )
        spent = time.perf_counter() - start
        live.kill(process)
    return (JOBS - before) / spent


def measure_jobs(worker: str, scratch: Path, rounds: Rounds) -> Iterator[Comparison]:
    """Compare how many jobs a worker does with what the library alone does."""
    with servers.redis_server() as port, crash.pages_of(0) as pages:
        project = live.make(
            render(crash.ANSWERS | {"worker": worker}, scratch / "project"),
            logs=scratch / "logs",
            # The second is what RQ's own command wants.
            variables=dict.fromkeys(
                ("BROKER_URL", "RQ_REDIS_URL"), f"redis://127.0.0.1:{port}/0"
            ),
        )
        commands = replace(project.commands, worker=BASELINE_WORKERS[worker])
        baseline = baseline_of(project, f"{worker}_jobs", commands, scratch)
        ids = str(scratch / "ids")
        arguments = (pages.address, str(JOBS))
        ours = ("python", "-c", crash.ENQUEUE, *arguments, ids)
        theirs = ("python", f"{worker}_jobs.py", *arguments)
        these, those = take_turns(
            [
                partial(jobs_per_second, project, ours, pages, port),
                partial(jobs_per_second, baseline, theirs, pages, port),
            ],
            rounds.load,
        )
        yield Comparison("jobs", "the library alone", these, those, "jobs/s", 0.85)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table.

    Args:
        arguments: Those of the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description="Measure what the template costs."
    )
    parser.add_argument("--quick", action="store_true", help="measure a few times only")
    names = [framework.name for framework in FRAMEWORKS]
    names += BASELINE_WORKERS
    parser.add_argument("--only", choices=names, help="measure only this")
    options = parser.parse_args(arguments)
    if not WRK and options.only not in BASELINE_WORKERS:
        parser.error("wrk is not on PATH: install it, or measure a worker with --only.")
    rounds = QUICK if options.quick else Rounds()
    # Children are to find bytecode, as they do wherever a service runs.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    # A log has room for the whole table.
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("what", "against", "this", "that", "unit", "ratio", "limit")
    with tempfile.TemporaryDirectory(prefix="python-patterns-bench-") as directory:
        scratch = Path(directory)
        found = [] if options.only else list(measure_generation(scratch, rounds))
        for framework in FRAMEWORKS:
            if options.only not in {None, framework.name}:
                continue
            (scratch / framework.name).mkdir()
            project, baseline = make_projects(framework, scratch / framework.name)
            for measure in (measure_imports, measure_boot, measure_requests):
                found += [
                    replace(one, what=f"{framework.name}: {one.what}")
                    for one in measure(framework, project, baseline, rounds)
                ]
        for worker in BASELINE_WORKERS:
            if options.only not in {None, worker}:
                continue
            (scratch / worker).mkdir()
            found += [
                replace(one, what=f"{worker}: {one.what}")
                for one in measure_jobs(worker, scratch / worker, rounds)
            ]
    for one in found:
        values = [f"{statistics.median(each):.4g}" for each in (one.this, one.that)]
        ratio = f"{one.ratio:.2f}"
        table.add_row(one.what, one.against, *values, one.unit, ratio, one.verdict)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
