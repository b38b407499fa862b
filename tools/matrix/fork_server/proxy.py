"""Stands for a program that a project's test starts, and that is forked.

In the process of the tests, ``install`` makes ``subprocess`` start this file for what
would be started with the same Python. It runs without site-packages, asks
``server`` for the program, gives it its own streams, variables, directory and
group, passes signals on, and ends as the program does.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

# Python obeys others of that name as it starts: for them it has to start.
KNOWN = {"PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHON_PATTERNS_OUTCOMES"}
PASSED_ON = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
# What a process that is forked cannot be given.
SPECIAL = {"executable", "preexec_fn", "shell", "pass_fds", "user", "group", "umask"}


def is_plain(arguments: Any, options: dict[str, Any]) -> bool:  # noqa: ANN401
    """Return whether a program can be forked as it would be started."""
    if not isinstance(arguments, (list, tuple)) or len(arguments) < 2:  # noqa: PLR2004
        return False
    words = [os.fspath(one) for one in arguments]
    variables = options.get("env") or os.environ
    return (
        all(isinstance(word, str) for word in words)
        and words[0] == sys.executable
        and (words[1] in {"-m", "-c"} or not words[1].startswith("-"))
        and not SPECIAL & {name for name, value in options.items() if value}
        and all(name in KNOWN for name in variables if name.startswith("PYTHON"))
    )


def install(program: str, address: str) -> None:
    """Fork programs that would be started with this Python.

    Args:
        program: This file.
        address: The socket of ``server``.
    """

    class Popen(subprocess.Popen[Any]):
        """What a test starts."""

        def __init__(
            self,
            args: Any,  # noqa: ANN401
            *others: Any,  # noqa: ANN401
            **options: Any,  # noqa: ANN401
        ) -> None:
            if others or not is_plain(args, options):
                super().__init__(args, *others, **options)
                return
            start = [sys.executable, "-I", "-S", program, address]
            super().__init__([*start, *map(os.fspath, args[1:])], **options)
            self.args = args

    subprocess.Popen = Popen  # type: ignore[misc]


def main(address: str, arguments: Sequence[str]) -> int:
    """Fork a program by the server, and wait for it.

    Returns:
        Its exit status; negative for a signal.
    """
    umask = os.umask(0)
    os.umask(umask)
    job = {
        "leads": False,
        "arguments": arguments,
        "directory": os.getcwd(),  # noqa: PTH109
        "variables": dict(os.environ),
        "group": os.getpgrp(),
        "umask": umask,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda n, _: connection.sendall(bytes([n])))
        text = json.dumps(job).encode() + b"\n"
        sent = socket.send_fds(connection, [text[:1]], [0, 1, 2])
        connection.sendall(text[sent:])
        with connection.makefile() as answers:
            answers.readline()
            last = answers.readline()
    return int(json.loads(last)["code"]) if last else -signal.SIGKILL


if __name__ == "__main__":
    status = main(sys.argv[1], sys.argv[2:])
    if status < 0:
        if -status in PASSED_ON:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
