"""What projects declare, and an environment of exactly that."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import processes
from tools.matrix.fork_server.client import ForkServer
from tools.template import FAMILY_ROOT

# Packages as they were on this day, so that all environments, on all machines and in
# all runs, hold the same versions. Move it on when the templates' lower bounds move.
PACKAGES_UNTIL = "2026-11-24"


class EnvironmentFailedError(Exception):
    """An environment could not be made of what a project declares."""


@dataclass(frozen=True)
class Declared:
    """What a project says it needs.

    Attributes:
        main: Requirements of the program.
        dev: Requirements of its tests and checks, without those of ``main``.
        arguments: What makes ``uv pip install`` install both.
    """

    main: tuple[str, ...]
    dev: tuple[str, ...]
    arguments: tuple[str, ...]

    def names(self, *, dev: bool) -> set[str]:
        """Names of the distributions that the program, or its tests too, may use."""
        wanted = self.main + self.dev if dev else self.main
        return {canonicalize_name(Requirement(text).name) for text in wanted}


def pyproject(tree: Path) -> dict[str, Any]:
    """Read a project's ``pyproject.toml``; empty where there is none."""
    path = tree / "pyproject.toml"
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}


def _requirements(path: Path) -> list[str]:
    """Read a requirements file with the files that it includes."""
    found = []
    for raw in path.read_text("utf-8").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if line.startswith("-r"):
            found += _requirements(path.parent / line[2:].strip())
        elif line:
            found.append(line)
    return found


def declared(tree: Path) -> Declared:
    """Read what a project declares, in ``pyproject.toml`` or in requirements files.

    Args:
        tree: The project's directory.

    Raises:
        ValueError: It declares nothing.
    """
    config = pyproject(tree)
    if "project" in config:
        main = config["project"].get("dependencies", [])
        dev = config.get("dependency-groups", {}).get("dev", [])
        return Declared(tuple(main), tuple(dev), (*main, *dev))
    if (tree / "requirements.txt").is_file():
        main = _requirements(tree / "requirements.txt")
        dev_file = tree / "requirements-dev.txt"
        every = _requirements(dev_file) if dev_file.is_file() else main
        file = dev_file.name if dev_file.is_file() else "requirements.txt"
        dev = [text for text in every if text not in main]
        return Declared(tuple(main), tuple(dev), ("-r", file))
    raise ValueError("neither [project] in pyproject.toml nor requirements.txt")


@dataclass(frozen=True)
class Environment:
    """A virtual environment with what one set of declarations brings.

    Attributes:
        directory: Where it lies.
        providers: By importable name, the distributions that bring it.
        bytecode: Where its Python keeps compiled modules, if not beside them.
        fork_server: Runs its programs as forks; without it they are new processes.
    """

    directory: Path
    providers: Mapping[str, Sequence[str]]
    bytecode: Path | None = None
    fork_server: ForkServer | None = None

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    def at(self, slot: Path) -> "Environment":
        """Return it at a path that is the same for all projects of a slot.

        The same packages then have the same paths in all environments, and what a slot
        remembers of them serves the next: types, and bytecode, which Python takes only
        if size and time of the source are those it was compiled from.

        Args:
            slot: Directory that only the caller uses at this time.
        """
        stable = slot / "environment"
        if self.directory == stable:
            return self
        stable.unlink(missing_ok=True)
        stable.symlink_to(self.directory)
        return replace(self, directory=stable, bytecode=slot / "bytecode")

    def run(
        self, arguments: Sequence[str | Path], **place: Unpack[processes.Place]
    ) -> processes.Outcome:
        """Run Python with these arguments; see ``processes.run``."""
        if self.fork_server is None:
            return processes.run((self.python, *arguments), **place)
        return self.fork_server.run(arguments, **place)


def clean_variables(environment: Environment) -> dict[str, str]:
    """Return the environment variables that a project's own tools get.

    What the caller's shell holds (settings, tokens, paths of Python) must not decide
    whether a combination passes.

    Args:
        environment: The virtual environment, which comes first on ``PATH``.
    """
    kept = ("HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
    variables = {name: os.environ[name] for name in kept if name in os.environ}
    programs_directory = environment.directory / "bin"
    variables["PATH"] = f"{programs_directory}{os.pathsep}{os.defpath}"
    variables["VIRTUAL_ENV"] = str(environment.directory)
    if environment.bytecode:
        variables["PYTHONPYCACHEPREFIX"] = str(environment.bytecode)
    return variables


def uv_variables() -> dict[str, str]:
    """Return the variables for uv: the caller's, with its settings of uv."""
    variables = {**os.environ, "UV_NO_PROGRESS": "1", "UV_QUIET": "1"}
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        variables.pop(name, None)
    return variables


def environment_key(needs: Declared, python: str, *, lowest: bool = False) -> str:
    """Return a key that projects with equal environments share.

    Args:
        needs: What a project declares.
        python: Version, as ``uv venv --python`` takes it.
        lowest: Of what a project declares, the oldest versions that it allows.
    """
    wanted = [python, PACKAGES_UNTIL, *sorted(needs.main), "dev", *sorted(needs.dev)]
    wanted += ["lowest"] if lowest else []
    return hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]


def environment(
    tree: Path, cache: Path, python: str, log: Path, *, lowest: bool = False
) -> Environment:
    """Return the environment of a project, created if no equal project had one.

    It holds what the project itself declares and nothing else: a superset would hide
    a missing declaration.

    Args:
        tree: The project's directory.
        cache: Directory that environments are kept in.
        python: Version, as ``uv venv --python`` takes it.
        log: File for the output of uv.
        lowest: Of what the project declares, the oldest versions that it allows.

    Raises:
        EnvironmentFailedError: Its declarations cannot be installed.
        ValueError: It declares nothing.
    """
    needs = declared(tree)
    directory = cache / "environments" / environment_key(needs, python, lowest=lowest)
    complete = directory / "providers.json"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.is_file():
            shutil.rmtree(directory, ignore_errors=True)
            versions = ("--resolution", "lowest-direct" if lowest else "highest")
            packages = (*versions, *needs.arguments)
            _create_environment(directory, packages, tree, python, log)
    return Environment(directory, json.loads(complete.read_text("utf-8")))


def _create_environment(
    directory: Path, packages: Sequence[str], tree: Path, python: str, log: Path
) -> None:
    interpreter = str(directory / "bin" / "python")
    # This very interpreter where it will do: it need not be found, nor fetched.
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = sys.executable if python == running else python
    list_providers = (
        "import importlib.metadata as m, json; "
        "print(json.dumps(m.packages_distributions()))"
    )
    uv_bin = uv.find_uv_bin()
    install = ("pip", "install", "--exclude-newer", PACKAGES_UNTIL)
    output = ""
    for place, command in (
        (FAMILY_ROOT, (uv_bin, "venv", "--no-project", "--python", base, directory)),
        (tree, (uv_bin, *install, "-p", interpreter, *packages)),
        (tree, (interpreter, "-c", list_providers)),
    ):
        done = processes.run(
            tuple(map(str, command)), directory=place, variables=uv_variables(), log=log
        )
        if done.code != 0:
            raise EnvironmentFailedError(
                f"no environment: {' '.join(done.output.split())}"
            )
        output = done.output
    (directory / "providers.json").write_text(output, encoding="utf-8")
