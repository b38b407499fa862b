"""Run programs with their output in a log, counted and stoppable."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypedDict

SECONDS = 600

_lock = threading.Lock()
_running: set[Callable[[], None]] = set()
_stopping = threading.Event()


class Place(TypedDict):
    """Where a program runs; see ``run``."""

    directory: Path
    variables: Mapping[str, str]
    log: Path


class StoppedError(Exception):
    """The run was stopped while or before a program ran."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        code: Exit status; negative for a signal.
        output: Standard output and standard error, in the order of writing.
        processor_seconds: User and system time of it and the children it waited for.
    """

    code: int
    output: str
    processor_seconds: float

    @property
    def last_line(self) -> str:
        """The last line with text, or a note that there was none."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "no output"


def _kill_group(pid: int) -> None:
    # It may be gone, or only a zombie be left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


@contextmanager
def logged(command: Sequence[str | Path], log: Path) -> Iterator[BinaryIO]:
    """Open a log for a program's output, and write a line with the program."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"$ {' '.join(map(str, command))}\n".encode())
        stream.flush()
        yield stream


def written(log: Path, start: int) -> str:
    """Return what a log holds from a place on."""
    with log.open("rb") as stream:
        stream.seek(start)
        return stream.read().decode(errors="replace")


@contextmanager
def stoppable(kill: Callable[[], None], seconds: float) -> Iterator[None]:
    """Kill what the block waits for when all is stopped, or after a time.

    Raises:
        StoppedError: ``stop`` was called.
    """
    with _lock:
        stopping = _stopping.is_set()
        _running.add(kill)
    timer = threading.Timer(0 if stopping else seconds, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with _lock:
            _running.discard(kill)
    if _stopping.is_set():
        raise StoppedError


def run(
    command: Sequence[str | Path],
    *,
    directory: Path,
    variables: Mapping[str, str],
    log: Path,
    seconds: float = SECONDS,
) -> Outcome:
    """Run a program in a process group of its own and wait for it.

    What it started and left running is killed when it ends.

    Args:
        command: Program and arguments.
        directory: Where it runs.
        variables: Its whole environment.
        log: File that its output is appended to.
        seconds: Time after which it is killed.

    Returns:
        How it ended; a program that took too long ends with a signal.

    Raises:
        StoppedError: ``stop`` was called.
        OSError: The program cannot be started.
    """
    with logged(command, log) as stream:
        start = stream.tell()
        with _lock:
            if _stopping.is_set():
                raise StoppedError
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        kill = partial(_kill_group, process.pid)
        try:
            with stoppable(kill, seconds):
                # Without reaping: until then the group's number is not used again.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            kill()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    output = written(log, start)
    return Outcome(process.returncode, output, usage.ru_utime + usage.ru_stime)


def stop() -> None:
    """Kill every program that is waited for, and start no more."""
    with _lock:
        _stopping.set()
        for kill in _running:
            kill()
