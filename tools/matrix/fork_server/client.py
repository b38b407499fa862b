"""Start a fork server, and run programs with it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from python_patterns.imports import imports
from tools import processes
from tools.matrix.fork_server import proxy, server

# What the matrix runs in every project, and what it takes long to import.
TOOLS = ("mypy.main", "importlinter.cli", "pytest", "runpy")
# These start in the tests, by their modules' names.
SERVERS = ("uvicorn.main", "gunicorn.app.wsgiapp", "celery.bin.celery")
# Their modules ask for the settings of a project.
NEED_SETTINGS = ("django.contrib", "rest_framework", "drf_spectacular", "channels")

_refused: set[str] = set()
_lock = threading.Lock()


def libraries(tree: Path, providers: Mapping[str, Sequence[str]]) -> list[str]:
    """List the modules of libraries that a project imports.

    Args:
        tree: The project's directory.
        providers: By importable name, the distributions that bring it.
    """
    found: set[str] = set()
    for path in tree.rglob("*.py"):
        try:
            found |= {
                one.module
                for _, one in imports(path.read_bytes())
                if not one.is_relative
            }
        except SyntaxError:
            continue  # a finding of its own
    found |= {*TOOLS, *SERVERS}
    return sorted(
        name
        for name in found
        if (top := name.partition(".")[0]) in providers
        or top in sys.stdlib_module_names
        if not name.startswith(NEED_SETTINGS)
    )


class ForkServer:
    """A server that forks the programs of one environment."""

    def __init__(self, address: Path) -> None:
        """Use a server that listens at an address."""
        self.address = str(address)

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        directory: Path,
        variables: Mapping[str, str],
        log: Path,
        seconds: float = processes.SECONDS,
    ) -> processes.Outcome:
        """Run what Python would run with these arguments; see ``processes.run``."""
        words = list(map(str, arguments))
        job = {
            "leads": True,
            "arguments": words,
            "directory": str(directory),
            "variables": dict(variables),
            "group": 0,
            "umask": 0o022,
        }
        with processes.logged(["(forked) python", *words], log) as stream:
            start = stream.tell()
            with (
                socket.socket(socket.AF_UNIX) as connection,
                Path(os.devnull).open("rb") as nothing,
            ):
                connection.connect(self.address)
                streams = [nothing.fileno(), stream.fileno(), stream.fileno()]
                text = json.dumps(job).encode() + b"\n"
                sent = socket.send_fds(connection, [text[:1]], streams)
                connection.sendall(text[sent:])
                with connection.makefile() as answers:
                    answers.readline()  # it runs

                    def kill() -> None:
                        # Through the server, which knows whether it is still there.
                        with suppress(OSError):
                            connection.sendall(bytes([signal.SIGKILL]))

                    with processes.stoppable(kill, seconds):
                        last = answers.readline()
        if not last:
            raise RuntimeError(f"The fork server has died; see {log}.")
        answer = json.loads(last)
        output = processes.written(log, start)
        return processes.Outcome(answer["code"], output, answer["used"])


@contextmanager
def start(
    python: Path, modules: Sequence[str], variables: Mapping[str, str], log: Path
) -> Iterator[ForkServer]:
    """Start a server that imports libraries; stop it with all that it forked.

    Args:
        python: The environment's interpreter.
        modules: What to import; what cannot be imported is left out.
        variables: The server's whole environment.
        log: File for its own output.

    Yields:
        What runs programs with it.

    Raises:
        RuntimeError: It does not start.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="fork-server-"))
        program = Path(place, f"{server.PROXY}.py")
        shutil.copy(proxy.__file__, program)
        address = Path(place, "socket")
        output = stack.enter_context(log.open("ab"))
        while True:
            wanted = [name for name in modules if name not in _refused]
            control, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(
                    (
                        *(python, "-P", server.__file__, address),
                        *(str(theirs.fileno()), json.dumps(wanted), program),
                    ),
                    cwd=place,
                    env=dict(variables),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    text=True,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            with control, process.stdout:
                try:
                    last = _last_line(process.stdout)
                    if last == server.READY:
                        yield ForkServer(address)
                        return
                finally:
                    control.close()
                    process.wait()
            if process.returncode != server.NOT_PRELOADED:
                raise RuntimeError(f"{python} cannot run a fork server; see {log}.")
            with _lock:
                _refused.add(last)


def _last_line(output: IO[str]) -> str:
    """Read until all is imported, or until the end."""
    last = ""
    for line in output:
        last = line.strip()
        if last == server.READY:
            break
    return last
