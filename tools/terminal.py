"""A program in a terminal of 80 columns and 24 lines, as a person sees it."""

import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from types import TracebackType
from typing import Self

import pyte

COLUMNS, LINES = 80, 24
ENTER, DOWN, SPACE, INTERRUPT = "\r", "\x1b[B", " ", "\x03"
# What is typed while a prompt is drawn gets lost: wait until it is quiet for so long.
QUIET_SECONDS = 0.3
SECONDS = 120.0


class Terminal:
    """Runs a program, and keeps what it shows.

    Args:
        command: The program and its arguments.
        environment: Variables in addition to those of this process.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.screen = pyte.HistoryScreen(COLUMNS, LINES, history=10_000)
        # Programs ask where the cursor is.
        setattr(self.screen, "write_process_input", self.press)  # noqa: B010
        self._stream = pyte.ByteStream(self.screen)
        self._master, side = pty.openpty()
        ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        variables = {**os.environ, "TERM": "xterm", **(environment or {})}
        self._process = subprocess.Popen(
            command,
            stdin=side,
            stdout=side,
            stderr=side,
            env=variables,
            start_new_session=True,
        )
        os.close(side)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def lines(self) -> list[str]:
        """All lines that it shows, and those that were scrolled away."""
        past = [
            "".join(line[column].data for column in range(COLUMNS))
            for line in self.screen.history.top
        ]
        return [line.rstrip() for line in (*past, *self.screen.display)]

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> list[str]:
        """Wait until it shows a text and is quiet.

        Returns:
            ``lines``.

        Raises:
            TimeoutError: It does not show the text within two minutes.
        """
        end = time.monotonic() + SECONDS
        while not any(text in line for line in self.lines):
            if time.monotonic() > end:
                raise TimeoutError("\n".join([f"No {text!r} in:", *self.lines]))
            self._read(1)
        while self._read(QUIET_SECONDS):
            pass
        return self.lines

    def wait(self) -> int:
        """Wait for its end.

        Returns:
            Its exit status.
        """
        while self._process.poll() is None:
            self._read(0.1)
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            self._stream.feed(os.read(self._master, 65536))
        except OSError:  # the other side has ended
            return False
        return True
