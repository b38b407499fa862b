"""A newcomer's clock: from the README's first command to a first answer.

``python -m tools.newcomer`` types what README.md says, and then what the project's
README says, as somebody who has Python, pip and git, and nothing in any cache. It
prints the minutes, the disk space and the number of commands.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tools import live, servers
from tools.template import FAMILY_ROOT

# What is typed besides the README's first command.
PROJECTS: Mapping[str, str] = {
    "default": "",
    "site": "purpose=site",
    "flask-small": "preset=flask-small",
    "script": "purpose=script",
    "worker": "purpose=worker",
}
SECTION = "## A first project in five minutes"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What runs until it is stopped, and what it prints when it is ready.
SERVERS = re.compile(r"uvicorn|runserver|flask --app|\bworker\b")
READY = {"celery": b"ready."}
# Servers that run already: nothing here starts containers.
PROVIDED = re.compile("docker ")
PORT = 8000
MEGABYTE = 2**20


@dataclass(frozen=True)
class Result:
    """What it took.

    Attributes:
        seconds: Until the first answer.
        size: What is on the disk then: the project, its environment, the caches.
        commands: How many were typed.
    """

    seconds: float
    size: int
    commands: int


def blocks(readme: Path, section: str) -> list[str]:
    """Return the commands of a section, a block at a time.

    Args:
        readme: A README.
        section: Its heading.
    """
    text = readme.read_text("utf-8").partition(f"{section}\n")[2].partition("\n## ")[0]
    return [found.strip() for found in BLOCK.findall(text)]


def typed(line: str) -> int:
    """Return how many commands a line has."""
    return len(line.partition("  #")[0].split(" && "))


def _size(directory: Path) -> int:
    seen: dict[int, int] = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


class Newcomer:
    """Types commands in an empty home."""

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        """Move in."""
        kept = {
            name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ
        }
        proxies = [
            name
            for name in os.environ
            if name.lower().endswith(("_proxy", "_cert_file", "_ca_bundle"))
            or name.startswith(
                ("PIP_INDEX", "PIP_CERT", "UV_INDEX", "UV_DEFAULT_INDEX")
            )
        ]
        self.variables = {
            **kept,
            **{name: os.environ[name] for name in proxies},
            "HOME": str(home),
            "UV_CACHE_DIR": str(home / ".cache" / "uv"),
            "PIP_CACHE_DIR": str(home / ".cache" / "pip"),
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            **variables,
        }
        self.commands = 0

    def type(self, line: str, directory: Path) -> None:
        """Run a line to its end.

        Raises:
            RuntimeError: It fails.
        """
        self.commands += typed(line)
        done = subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=directory,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        # A command that says that a site is down has answered.
        is_answer = done.returncode == 1 and done.stdout
        if done.returncode and not is_answer:
            raise RuntimeError(f"{line} ended with {done.returncode}: {done.stderr}")

    def start(self, line: str, directory: Path, log: Path) -> subprocess.Popen[bytes]:
        """Run a line that does not end."""
        self.commands += typed(line)
        with log.open("wb") as stream:
            return subprocess.Popen(
                ["/bin/sh", "-ec", line],
                cwd=directory,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _first_answer(process: subprocess.Popen[bytes], line: str, log: Path) -> None:
    ready = next((sign for name, sign in READY.items() if name in line), None)
    if ready:
        live.wait_until(lambda: ready in log.read_bytes(), "the worker")
    else:
        path = "/health/live"
        live.wait_until(lambda: live.answers(PORT, path, process), "the first answer")


def measure(words: str, scratch: Path, variables: Mapping[str, str]) -> Result:
    """Make one project, and start it.

    Args:
        words: An answer that is given.
        scratch: An empty directory.
        variables: Addresses of servers that run.

    Raises:
        RuntimeError: A command fails.
    """
    home, checkout = scratch / "home", scratch / "home" / "python-patterns"
    home.mkdir()
    clone = ("git", "clone", "--quiet", str(FAMILY_ROOT), str(checkout))
    subprocess.run(clone, check=True)
    subprocess.run([sys.executable, "-m", "venv", str(home / "python")], check=True)
    person = Newcomer(home, variables)
    programs = str(home / "python" / "bin")
    person.variables["PATH"] = os.pathsep.join([programs, person.variables["PATH"]])
    before = _size(home)
    started = time.monotonic()
    first, second, *_ = blocks(FAMILY_ROOT / "README.md", SECTION)
    person.type(f"{first} --defaults {f'--data {words}' if words else ''}", checkout)
    project = home / "my-service"
    lines = blocks(project / "README.md", "## Start")[0].splitlines()
    is_small = not (project / ".github").is_dir()
    if not is_small:  # begin as the template's README says
        person.type(second.splitlines()[1], project)
        person.commands += 1  # cd
        lines = [line for line in lines if line != "uv sync"]
    with ExitStack() as stack:
        activated = project / ".venv" / "bin"
        for line in lines:
            if PROVIDED.match(line):
                person.commands += 1
                continue
            path = person.variables["PATH"]
            if is_small and activated.is_dir() and str(activated) not in path:
                person.variables["PATH"] = os.pathsep.join([str(activated), path])
            if line == lines[-1] and SERVERS.search(line):
                log = home / "server.log"
                process = person.start(line, project, log)
                stack.callback(live.kill, process)
                _first_answer(process, line, log)
            else:
                person.type(line, project)
        seconds = time.monotonic() - started
    return Result(seconds, _size(home) - before, person.commands)


def table(results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the lines of a table of Markdown."""
    yield "| project | minutes | disk | commands |"
    yield "|---|---|---|---|"
    for name, result in results.items():
        minutes, size = result.seconds / 60, result.size / MEGABYTE
        yield f"| {name} | {minutes:.1f} | {size:.0f} MB | {result.commands} |"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.newcomer")
    parser.add_argument("projects", nargs="*", help=", ".join(PROJECTS))
    arguments = parser.parse_args(words)
    console = Console(highlight=False)
    results = {}
    with servers.redis_server() as port:
        url = f"redis://127.0.0.1:{port}/0"
        for name in arguments.projects or PROJECTS:
            given = PROJECTS.get(name, shlex.quote(name))
            with tempfile.TemporaryDirectory(prefix="newcomer-") as scratch:
                results[name] = measure(given, Path(scratch), {"BROKER_URL": url})
    console.print("\n".join(table(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
