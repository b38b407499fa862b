"""Run a generated project as its README says, each program as a process of its own.

What to run is read from the project's README, and what it can be told from its
``.env.example``: so both are tested, and nothing here knows a framework.
"""

import contextlib
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import processes
from tools.matrix import environments
from tools.matrix.run import DEFAULT_CACHE

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# What production refuses to start without.
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "0123456789abcdef" * 4,
    "ALLOWED_HOSTS": "127.0.0.1",
    "EMAIL_URL": "smtp://127.0.0.1:1",
    "EMAIL_FROM": "shop@example.com",
    "SITE_URL": "https://shop.example.com",
    "FRONTEND_URL": "https://shop.example.com",
}
# As the proxy in front of it says: in production Django takes nothing else.
HTTPS = {"X-Forwarded-Proto": "https"}
START_SECONDS = 60
STOP_SECONDS = 60

# Lines of the README that install tools and servers: here they are there already.
PROVIDED = re.compile(
    r"uv sync|python -m venv|pip install|docker |export |createdb |cp "
)
# What servers do in development only.
DEVELOPMENT = {"--reload", "--debug"}
SETTING = re.compile(r"^# ([A-Z_]+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Commands:
    """What a project's README tells to run.

    Attributes:
        prepare: What to run once before the first start.
        server: Starts the server; the one for production, where another is for that.
        worker: Starts a worker; empty where there is none.
        schedule: Starts the schedule; empty where it has no process of its own.
        failed: Lists failed jobs, and with ids retries them.
    """

    prepare: tuple[tuple[str, ...], ...]
    server: tuple[str, ...]
    worker: tuple[str, ...]
    schedule: tuple[str, ...]
    failed: tuple[str, ...]


def commands(tree: Path) -> Commands:
    """Read what a project's README tells to run.

    Args:
        tree: The project's directory.

    Raises:
        ValueError: The README does not say how to start.
    """
    text = (tree / "README.md").read_text("utf-8")
    start = re.search(
        r"^## Start$.*?^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    if start is None:
        raise ValueError(f"{tree / 'README.md'} does not say how to start.")

    def words(line: str) -> tuple[str, ...]:
        return tuple(shlex.split(line.removeprefix("uv run "), comments=True))

    lines = [line for line in start[1].splitlines() if not PROVIDED.match(line)]
    *prepare, server = map(words, lines)
    production = re.search(r"^(uv run )?(gunicorn|uvicorn) .*$", text, re.MULTILINE)
    server = words(production[0]) if production else server

    def marked(comment: str) -> tuple[str, ...]:
        line = re.search(rf"^.*(?=# {comment}$)", text, re.MULTILINE)
        return words(line[0]) if line else ()

    return Commands(
        tuple(prepare),
        tuple(word for word in server if word not in DEVELOPMENT),
        marked("one or more workers"),
        marked("the scheduler: exactly one"),
        marked("list failed jobs; with IDs, enqueue them again"),
    )


def settings(tree: Path) -> dict[str, str]:
    """Read a project's settings and their defaults from its ``.env.example``.

    Args:
        tree: The project's directory; a project without the file has no settings.
    """
    example = tree / ".env.example"
    return dict(SETTING.findall(example.read_text("utf-8"))) if example.exists() else {}


def cheap_passwords(tree: Path) -> dict[str, str]:
    """Make a project hash passwords fast, which is slow on purpose.

    Args:
        tree: The project's directory. In Django's settings there are no iterations to
            be set: they get another hasher.

    Returns:
        Variables for the programs of all others.
    """
    for file in tree.rglob("settings.py"):
        text = file.read_text("utf-8")
        if "INSTALLED_APPS" in text:
            hasher = "django.contrib.auth.hashers.MD5PasswordHasher"
            text += f'\nPASSWORD_HASHERS = ["{hasher}"]\n'
            file.write_text(text, encoding="utf-8")
    return {"PASSWORD_TIME_COST": "1", "PASSWORD_MEMORY_KIB": "32"}


@dataclass(frozen=True)
class Project:
    """A generated project with all it needs to run.

    Attributes:
        tree: Its directory.
        environment: Its virtual environment.
        variables: The whole environment of its programs.
        commands: What its README tells to run.
        logs: Directory for what its programs write.
    """

    tree: Path
    environment: Path
    variables: Mapping[str, str]
    commands: Commands
    logs: Path

    def command(self, words: Sequence[str]) -> list[str]:
        """Return a command with the program of the project's environment."""
        return [str(self.environment / "bin" / words[0]), *words[1:]]

    def run(self, words: Sequence[str], *, seconds: float = 120) -> str:
        """Run a program to its end and return its output.

        Raises:
            RuntimeError: It fails, or takes longer.
        """
        done = processes.run(
            self.command(words),
            directory=self.tree,
            variables=self.variables,
            log=self.logs / "run.log",
            seconds=seconds,
        )
        if done.code != 0:
            raise RuntimeError(
                f"{shlex.join(words)} ended with {done.code}: {done.last_line}"
            )
        return done.output

    def ended(
        self, words: Sequence[str], *, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return its status and its two streams.

        Raises:
            subprocess.TimeoutExpired: It takes longer.
        """
        return subprocess.run(
            self.command(words),
            cwd=self.tree,
            env=dict(self.variables),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def prepare(self) -> None:
        """Do what the README tells to do before the first start.

        Raises:
            RuntimeError: One of the commands fails.
        """
        for words in self.commands.prepare:
            self.run(words)

    @contextmanager
    def server(
        self,
        path: str = "/health/ready",
        *,
        pause: float = 0.1,
        log: Path | None = None,
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Run the server.

        Args:
            path: Asked until the answer is 200.
            pause: Seconds between two questions.
            log: File for its output, where that is not among the project's logs.

        Yields:
            Its process, and its port on 127.0.0.1.

        Raises:
            RuntimeError: It ends, or does not answer in time.
        """
        port = free_port()
        server = self.commands.server
        where = (
            ("--bind", f"127.0.0.1:{port}")
            if server[0] == "gunicorn"
            else ("--port", str(port))
        )
        words = (*server, *where)
        with self.running(words, log or self.logs / "server.log") as process:
            wait_until(
                lambda: answers(port, path, process), "the server's answer", pause=pause
            )
            yield process, port

    def worker(
        self, *options: str
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Run a worker, with these options added to what the README says."""
        words = (*self.commands.worker, *options)
        return self.running(words, self.logs / "worker.log")

    @contextmanager
    def running(
        self, words: Sequence[str], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program in a process group of its own, until the block ends.

        Args:
            words: The command.
            log: File that its output is appended to.

        Yields:
            Its process.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            process = subprocess.Popen(
                self.command(words),
                cwd=self.tree,
                env=dict(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill(process)


def make(
    tree: Path,
    *,
    logs: Path,
    variables: Mapping[str, str],
) -> Project:
    """Make a project that runs in an environment of the matrix.

    Args:
        tree: The project's directory.
        logs: Directory for what its programs write.
        variables: Settings that differ from the defaults.

    Raises:
        environments.EnvironmentFailedError: Its declarations cannot be installed.
        ValueError: It declares nothing, or does not say how to start.
    """
    log = logs / "environment.log"
    found = environments.environment(tree, DEFAULT_CACHE, PYTHON, log)
    own = environments.clean_variables(found) | dict(variables)
    # As in the matrix: environments are shared, so nothing is installed into them.
    own["PYTHONPATH"] = os.pathsep.join(map(str, (tree / "src", tree)))
    return Project(tree, found.directory, own, commands(tree), logs)


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str, process: subprocess.Popen[bytes]) -> bool:
    """Return whether a server answers a GET with 200.

    Args:
        port: Its port on 127.0.0.1.
        path: What is asked for.
        process: The server.

    Raises:
        RuntimeError: The server has ended.
    """
    if process.poll() is not None:
        raise RuntimeError(f"The server ended with {process.returncode}.")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def wait_until(
    is_so: Callable[[], bool],
    what: str,
    *,
    seconds: float = START_SECONDS,
    pause: float = 0.1,
) -> None:
    """Wait until a condition holds.

    Args:
        is_so: The condition.
        what: Names the condition in the message.
        seconds: How long to wait.
        pause: Seconds between two checks.

    Raises:
        TimeoutError: It did not hold in that time.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds} s for {what}.")
        time.sleep(pause)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Send SIGTERM to a program and wait for its end.

    Returns:
        Its exit status; negative for a signal.

    Raises:
        subprocess.TimeoutExpired: It goes on for longer than 60 seconds.
    """
    process.send_signal(signal.SIGTERM)
    return process.wait(STOP_SECONDS)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that has not ended yet, with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
