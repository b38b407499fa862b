"""The project's own checks, in a copy of what it would be.

The template says which commands they are (``check_commands``), as the README of the
project does. They run in an environment of their own: uv makes it from what the copy
declares, so that it has what a new answer needs, and the project's stays as it is.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from python_patterns import git
from python_patterns.git import Repository
from python_patterns.grow.report import Check, RefusedError
from python_patterns.render import Rendered

# What lists the dependencies of a project that uv does not manage.
REQUIREMENTS = "requirements-dev.txt"
# Variables that would lead uv to the environment of the project, or of this command.
LEADING = frozenset(
    {
        *("VIRTUAL_ENV", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "UV_PROJECT"),
        *(
            "UV_WORKING_DIR",
            "UV_WORKING_DIRECTORY",
            "UV_FROZEN",
            "UV_LOCKED",
            "UV_NO_SYNC",
        ),
    }
)
# How many lines of what a failing check says are shown.
LINES = 20
# How many seconds a check has to end its servers when it is stopped.
PATIENCE = 10


def commands_of(rendered: Rendered) -> Sequence[str]:
    """Return the checks of a project, as its template knows them.

    Raises:
        RefusedError: It does not.
    """
    found = rendered.values.get("check_commands")
    if not found:
        raise RefusedError(
            f"the template at {rendered.answers.get('_commit')} does not say which"
            " checks its projects have: leave out --verify"
        )
    return list(map(str, found))


@dataclass
class Verifying:
    """Runs the checks of a project.

    Attributes:
        repository: The project's.
        commands: The checks.
        tell: Is told what is done at each moment.
        uv: The program, if there is one.
    """

    repository: Repository
    commands: Sequence[str]
    tell: Callable[[str], None]
    uv: str | None = field(
        default_factory=lambda: os.environ.get("UV") or shutil.which("uv")
    )

    def run(self, tree: str) -> list[Check]:
        """Run the checks.

        Args:
            tree: What the repository would be.
        """
        self.tell("Copying what the project would be")
        directory = self._copied(tree) / self.repository.prefix
        return [self._checked(command, directory) for command in self.commands]

    def _copied(self, tree: str) -> Path:
        """Write a tree, with the repository's history for tools that ask git."""
        repository, scratch = self.repository, self.repository.scratch
        top = Path(repository.line("rev-parse", "--show-toplevel"))
        copy, index = scratch / "verified", scratch / "verified.index"
        cloning = ("clone", "--quiet", "--shared", "--no-checkout")
        git.run(*cloning, str(top), str(copy), directory=scratch)
        git.run("read-tree", "HEAD", directory=copy)
        repository.run("read-tree", tree, index=index)
        # By the repository itself: it knows its filters.
        writing = ("checkout-index", "--all", "--force", f"--prefix={copy}/")
        repository.run(*writing, index=index, directory=top)
        return copy

    def _checked(self, command: str, directory: Path) -> Check:
        self.tell(f"Running {command}")
        words = self._words(command, directory)
        try:
            code, said = _run(words, directory, self._variables())
        except FileNotFoundError:
            code, said = 1, f"{words[0]} is not installed"
        lines = () if code == 0 else said.rstrip().splitlines()[-LINES:]
        return Check(command, code == 0, lines)

    def _words(self, command: str, directory: Path) -> list[str]:
        """Return what to run for a command that is meant for a terminal."""
        words = shlex.split(command)
        is_uvs = words[:2] == ["uv", "run"]
        if self.uv and is_uvs:
            return [self.uv, *words[1:]]
        if self.uv and (directory / REQUIREMENTS).is_file():
            alone = ("run", "--quiet", "--no-project", "--with-requirements")
            return [self.uv, *alone, REQUIREMENTS, "--", *words]
        return words[2:] if is_uvs else words

    def _variables(self) -> Mapping[str, str]:
        kept = {key: val for key, val in os.environ.items() if key not in LEADING}
        if not self.uv:
            # As in a terminal where the environment of the project is active.
            name = "Scripts" if sys.platform == "win32" else "bin"
            places = (
                self.repository.project / ".venv" / name,
                Path(sys.executable).parent,
            )
            path = [*map(str, places), kept.get("PATH", os.defpath)]
            kept["PATH"] = os.pathsep.join(path)
        return git.separated(kept)


def _run(
    words: Sequence[str], directory: Path, variables: Mapping[str, str]
) -> tuple[int, str]:
    """Run a program to its end, or stop it with all that it started."""
    # Where its PATH is another one, it is looked up there.
    program = shutil.which(words[0], path=variables.get("PATH")) or words[0]
    with subprocess.Popen(
        [program, *words[1:]],
        cwd=directory,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        # As Ctrl-C: what it started has to end with it.
        usual = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            output, _ = process.communicate()
        except BaseException:
            _stop(process)
            raise
        finally:
            signal.signal(signal.SIGTERM, usual)
    return process.returncode, output.decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    try:
        # Tests end the servers that they started.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
