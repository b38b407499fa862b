"""The matrix's checks of one generated project, in its own environment.

Each check returns what is wrong, one line a finding, and nothing where all is well.
"""

import configparser
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from python_patterns.imports import imports
from tools import processes
from tools.matrix import outcomes
from tools.matrix.environments import (
    Declared,
    Environment,
    clean_variables,
    pyproject,
    uv_variables,
)

# Tests that may be skipped: parts of their ids, each with the reason why.
EXPECTED_SKIPS: Mapping[str, str] = {}

LINT_IMPORTS = "from importlinter.cli import lint_imports_command as run; run()"
# What a server or a command imports: Django's large projects have no main.py.
ENTRY = re.compile(r"^\w+/(main|core/[aw]sgi)\.py$")
TESTS = re.compile(r"(^|/)(tests/|test_[^/]*\.py$|conftest\.py$)")


# --- Stage 2: imports and types -------------------------------------------------------


def _has_lower_bound(requirement: Requirement) -> bool:
    return any(one.operator in {">=", "~=", "=="} for one in requirement.specifier)


def declaration_errors(
    tree: Path, needs: Declared, providers: Mapping[str, Sequence[str]]
) -> list[str]:
    """Find what is declared without a version, or used without being declared.

    Such an import works only because some other package brings the module along.

    Args:
        tree: The project's directory.
        needs: What it declares.
        providers: By importable name, the distributions that bring it.
    """
    roots = [tree, tree / "src"]
    own = {path.stem for root in roots if root.is_dir() for path in root.iterdir()}
    errors = [
        f"{text!r} is declared without a version to start from"
        for text in needs.main + needs.dev
        if not _has_lower_bound(Requirement(text))
    ]
    for path in sorted([*tree.rglob("*.py"), *tree.rglob("*.pyi")]):
        name = path.relative_to(tree).as_posix()
        allowed = needs.names(dev=bool(TESTS.search(name)))
        tops = {(line, one.top) for line, one in imports(path.read_bytes())}
        for line, top in sorted(tops):
            if not top or top in own or top in sys.stdlib_module_names:
                continue
            found = {canonicalize_name(text) for text in providers.get(top, ())}
            if not found & allowed:
                source = (
                    f"of {' or '.join(sorted(found))}" if found else "of nothing known"
                )
                errors.append(
                    f"{name}:{line}: imports {top} {source}, which is not declared"
                )
    return errors


def contract_errors(
    tree: Path, environment: Environment, log: Path
) -> tuple[list[str], float]:
    """Check the import contracts, where the project has some.

    Args:
        tree: The project's directory.
        environment: The project's environment.
        log: File for the tool's output.

    Returns:
        The findings, and the processor seconds taken.
    """
    contracts = pyproject(tree).get("tool", {}).get("importlinter", {}).get("contracts")
    if not contracts:
        return [], 0.0
    done = environment.run(
        # Not bin/lint-imports: its first line names the environment's own path.
        ("-c", LINT_IMPORTS, "--no-cache"),
        directory=tree,
        variables=_project_variables(tree, environment),
        log=log,
    )
    if done.code == 0 and f"{len(contracts)} kept, 0 broken" in done.output:
        return [], done.processor_seconds
    broken = [line for line in done.output.splitlines() if line.endswith(" BROKEN")]
    chains = [line.strip() for line in done.output.splitlines() if " -> " in line]
    found = [*broken, *chains] or [done.last_line]
    return [f"contract: {line}" for line in found], done.processor_seconds


def _project_variables(tree: Path, environment: Environment) -> dict[str, str]:
    """Make a src layout importable without an installation.

    Projects with the same declarations share an environment, so none of them may be
    installed into it. The installed wheel is stage 4.
    """
    variables = clean_variables(environment)
    if (tree / "src").is_dir():
        variables |= {"PYTHONPATH": str(tree / "src"), "MYPYPATH": "src"}
    return variables


def _mypy_targets(tree: Path) -> tuple[list[str], str]:
    """Return the arguments for mypy, and its configuration as text."""
    section: Mapping[str, Any] = pyproject(tree).get("tool", {}).get("mypy", {})
    if (tree / "mypy.ini").is_file():
        parser = configparser.ConfigParser()
        parser.read(tree / "mypy.ini", encoding="utf-8")
        section = dict(parser["mypy"]) if "mypy" in parser else {}
    targets = {"files", "packages", "modules"}
    settings = {key: section[key] for key in section if key not in targets}
    return [] if targets & set(section) else ["."], json.dumps(settings, sort_keys=True)


# For caches of one name, in slots side by side: one that was filled, and who fills it.
_filled: dict[Path, Path] = {}
_filling: defaultdict[Path, Lock] = defaultdict(Lock)
# For each cache: who writes it.
_writing: defaultdict[Path, Lock] = defaultdict(Lock)


def _with_type_cache(
    cache: Path, check: Callable[[], processes.Outcome]
) -> processes.Outcome:
    """Check types with a cache, which begins as a copy of what another slot has.

    To fill an empty one takes most of a minute: one slot does, and others wait for it.

    Args:
        cache: Its directory, in that of a slot. Those of one name are for one
            configuration.
        check: Reads and writes the cache.
    """
    kind = cache.parents[1] / cache.name
    if not cache.exists():
        with _filling[kind]:
            if kind not in _filled:
                done = check()
                _filled[kind] = cache
                return done
            source, copy = _filled[kind], cache.with_suffix(".copy")
            shutil.rmtree(copy, ignore_errors=True)
            with _writing[source]:
                shutil.copytree(source, copy)
            copy.rename(cache)
    _filled.setdefault(kind, cache)
    with _writing[cache]:
        return check()


def type_errors(
    tree: Path, environment: Environment, slot: Path, log: Path
) -> tuple[list[str], float]:
    """Run the project's own mypy, with its own configuration.

    A cold cache makes nearly all of mypy's time. A slot's cache serves all its
    environments: mypy compares times, sizes and hashes of the sources, and the modules
    that were missing. A cache has one writer at a time, and one configuration.

    Args:
        tree: The project's directory; its files have times from their content.
        environment: The project's environment.
        slot: Directory that only the caller uses at this time.
        log: File for mypy's output.

    Returns:
        The findings, and the processor seconds taken.
    """
    targets, settings = _mypy_targets(tree)
    environment = environment.at(slot)
    key = hashlib.sha256(settings.encode()).hexdigest()[:12]
    cache = slot / f"mypy-{key}"
    check = partial(
        environment.run,
        ("-P", "-m", "mypy", "--cache-dir", cache, *targets),
        directory=tree,
        variables={**_project_variables(tree, environment), "NO_COLOR": "1"},
        log=log,
    )
    done = _with_type_cache(cache, check)
    errors = [line for line in done.output.splitlines() if ": error:" in line]
    if not errors and not re.search(r"no issues found in [1-9]", done.output):
        errors = [f"mypy ended with {done.code}: {done.last_line}"]
    return errors, done.processor_seconds


# --- Stage 3: the project's own tests -------------------------------------------------


def own_test_errors(
    tree: Path,
    environment: Environment,
    variables: Mapping[str, str],
    directory: Path,
    log: Path,
) -> tuple[list[str], float]:
    """Run the project's own tests, and check that each ran and passed.

    Args:
        tree: The project's directory.
        environment: The project's environment.
        variables: URLs of servers and the like.
        directory: An empty or missing directory for the plugin and its result.
        log: File for pytest's output.

    Returns:
        The findings, and the processor seconds taken.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    # Alone in its directory: beside the family's other modules it would make them
    # importable for the project.
    plugin = directory / "python_patterns_outcomes.py"
    shutil.copy(outcomes.__file__, plugin)
    describe(tree, directory)
    result = directory / "outcomes.json"
    project = _project_variables(tree, environment)
    paths = [str(plugin.parent), project.get("PYTHONPATH", "")]
    # Plugins that came with the libraries are not rewritten, which costs a message of
    # theirs its details, and pytest a warning.
    quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    done = environment.run(
        (
            *("-m", "pytest", "-p", plugin.stem, "-p", "no:cacheprovider"),
            *(quiet if environment.fork_server else ()),
        ),
        directory=tree,
        variables={
            **project,
            **variables,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            outcomes.RESULT_VARIABLE: str(result),
            # Where pytest neither finds nor removes what others have left.
            "PYTEST_DEBUG_TEMPROOT": str(directory),
        },
        log=log,
    )
    if not result.is_file():
        message = f"the tests died with {done.code}: {done.last_line}"
        return [message], done.processor_seconds
    found = json.loads(result.read_text("utf-8"))
    return _outcome_errors(found, done), done.processor_seconds


def describe(tree: Path, directory: Path) -> None:
    """Write what an installation would tell `importlib.metadata` of a project.

    Args:
        tree: The project's directory.
        directory: Where to write it.
    """
    project = pyproject(tree).get("project")
    if project:
        metadata = f"Name: {project['name']}\nVersion: {project['version']}\n"
        described = directory / f"{project['name'].replace('-', '_')}.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(metadata, encoding="utf-8")


def loading_errors(
    tree: Path, environment: Environment, log: Path
) -> tuple[list[str], float]:
    """Import the project and its tests in a new process, with all warnings shown.

    Args:
        tree: The project's directory.
        environment: The project's environment, without a fork server.
        log: File for pytest's output.

    Returns:
        The findings, and the processor seconds taken.
    """
    done = environment.run(
        ("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"),
        directory=tree,
        variables=_project_variables(tree, environment),
        log=log,
    )
    if done.code == 0:
        return [], done.processor_seconds
    errors = [line for line in done.output.splitlines() if line.startswith("E ")]
    return [f"tests: {(errors or [done.last_line])[-1]}"], done.processor_seconds


def _outcome_errors(found: Mapping[str, Any], done: processes.Outcome) -> list[str]:
    errors = [
        f"{test} {outcome}: {reason}"
        for test, outcome, reason in found["not_passed"]
        if outcome == "failed" or not any(part in test for part in EXPECTED_SKIPS)
    ]
    ran = set(found["ran"])
    missing = [test for test in found["collected"] if test not in ran]
    errors += [f"{test} did not run" for test in (*missing, *found["deselected"])]
    if not found["collected"]:
        errors.append("no test was found")
    if done.code != 0 and not errors:
        errors.append(f"pytest ended with {done.code}: {done.last_line}")
    return errors


# --- Stage 4: the wheel ---------------------------------------------------------------


def is_package(tree: Path) -> bool:
    """Return whether a project is built and installed."""
    return "build-system" in pyproject(tree)


def wheel_errors(
    tree: Path, environment: Environment, directory: Path, log: Path
) -> tuple[list[str], float]:
    """Build the wheel, look into it, and import it where there is no source tree.

    Args:
        tree: The project's directory.
        environment: The project's environment; the wheel is not installed into it.
        directory: An empty or missing directory for the wheel and its installation.
        log: File for the tools' output.

    Returns:
        The findings, and the processor seconds taken.
    """
    shutil.rmtree(directory, ignore_errors=True)
    target = directory / "installed"
    target.mkdir(parents=True)
    uv_bin = uv.find_uv_bin()
    variables = uv_variables()
    python = ("-p", environment.python)
    build = (uv_bin, "build", "--wheel", *python, "--out-dir", directory)
    built = processes.run(build, directory=tree, variables=variables, log=log)
    wheels = list(directory.glob("*.whl"))
    if built.code != 0 or len(wheels) != 1:
        return [f"no wheel: {built.last_line}"], built.processor_seconds

    with zipfile.ZipFile(wheels[0]) as wheel:
        inside = set(wheel.namelist())
    sources = tree / "src"
    expected = {
        path.relative_to(sources).as_posix()
        for path in sources.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    errors = [f"{name} is not in the wheel" for name in sorted(expected - inside)]

    install = (uv_bin, "pip", "install", "--no-deps", "--target", target)
    installed = processes.run(
        (*install, *python, wheels[0]),
        directory=directory,
        variables=variables,
        log=log,
    )
    modules = sorted(
        name.removesuffix(".py").replace("/", ".")
        for name in inside
        if ENTRY.search(name)
    )
    if not modules:
        errors.append("the wheel has nothing that starts it")
    imports = "; ".join(f"import {module} as m" for module in modules)
    check = f"{imports}; assert m.__file__.startswith({str(target)!r}), m.__file__"
    imported = environment.run(
        ("-P", "-c", check),
        directory=directory,
        variables={**clean_variables(environment), "PYTHONPATH": str(target)},
        log=log,
    )
    steps = (built, installed, imported)
    errors += [f"wheel: {step.last_line}" for step in steps if step.code != 0]
    return errors, sum(step.processor_seconds for step in steps)
