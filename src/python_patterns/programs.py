"""Run programs with their output in a log, counted and stoppable."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_lock = threading.Lock()
_running: set[int] = set()
_stopping = threading.Event()


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


def run(
    command: Sequence[str | Path],
    *,
    directory: Path,
    variables: Mapping[str, str],
    log: Path,
    seconds: float = 600,
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
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"$ {' '.join(map(str, command))}\n".encode())
        stream.flush()
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
            _running.add(process.pid)
        timer = threading.Timer(seconds, _kill_group, [process.pid])
        timer.start()
        try:
            # Wait without reaping: until then the group's number is not used again.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            timer.cancel()
            with _lock:
                _running.discard(process.pid)
                _kill_group(process.pid)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
    if _stopping.is_set():
        raise StoppedError
    with log.open("rb") as stream:
        stream.seek(start)
        output = stream.read().decode(errors="replace")
    return Outcome(process.returncode, output, usage.ru_utime + usage.ru_stime)


def stop() -> None:
    """Kill every program that ``run`` started and is waiting for, and start no more."""
    with _lock:
        _stopping.set()
        for pid in _running:
            _kill_group(pid)
