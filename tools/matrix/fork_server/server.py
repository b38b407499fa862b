"""A Python that has imported an environment's libraries and forks its programs.

``client`` starts it in a project's environment, so it imports nothing beyond the
standard library and the modules that it is given. A program is forked before any
of its own code has run, so what one does to its modules, variables or directory reaches
no other. It ends as a program does: by the end of this file, with what it registered
for then.

Whoever asks sends one line of JSON with its three standard streams. The answer is a
line with the process's number and, when it has ended, one with its exit status and the
processor seconds of it and all that was forked beside it. One byte in between is a
signal for it; a connection that is closed kills it. When the one that leads ends, so do
all others: nothing is left of a project when the next one begins.
"""

import gc
import importlib
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import sys
import types
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

NOT_PRELOADED = 3
# The proxy's name as a module: one that no project and no library has.
PROXY = "python_patterns_fork_proxy"
READY = "python-patterns: all is imported"
STREAMS = 3

type Job = Mapping[str, Any]


def preload(modules: list[str]) -> None:
    """Import modules; end with the name of the first that cannot be.

    Half of it may be there then, and must not be what a program starts with.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fresh run of each environment sees them
        for name in modules:
            try:
                importlib.import_module(name)
            except BaseException:  # noqa: BLE001 - whatever its code raises
                print(name, flush=True)  # noqa: T201
                os._exit(NOT_PRELOADED)


class Server:
    """Forks programs, and reports how they end."""

    def __init__(self, listener: socket.socket, control: socket.socket) -> None:
        """Serve.

        Args:
            listener: Where jobs come in.
            control: When its other end is closed, everything ends.
        """
        self.listener = listener
        self.control = control
        self.running: dict[int, socket.socket] = {}
        self.leader = 0
        self.used_before = 0.0
        self.wake, self.waker = socket.socketpair()
        for end in (self.wake, self.waker):
            end.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker.fileno())
        self.selector = selectors.DefaultSelector()
        for source in (listener, control, self.wake):
            self.selector.register(source, selectors.EVENT_READ)

    def serve(self) -> Job | None:
        """Fork programs; return in a child, with its job, or at the end."""
        while True:
            for key, _ in self.selector.select():
                source = key.fileobj
                if source is self.control:
                    self.end()
                    return None
                if source is self.listener:
                    if job := self.fork():
                        return job
                elif source is self.wake:
                    with suppress(BlockingIOError):
                        self.wake.recv(1024)
                    self.reap()
                else:
                    self.pass_on(source)  # type: ignore[arg-type]

    def fork(self) -> Job | None:
        """Fork a program; return its job in the child."""
        connection, _ = self.listener.accept()
        try:
            text, streams, _, _ = socket.recv_fds(connection, 65536, STREAMS)
            while text and not text.endswith(b"\n"):
                text += connection.recv(65536)
            job: Job = json.loads(text)
        except (OSError, ValueError):
            connection.close()
            return None
        if job["leads"]:
            self.used_before = _used()
        pid = os.fork()
        if pid == 0:
            self.close(connection)
            become(job, streams)
            return job
        for stream in streams:
            os.close(stream)
        if job["leads"]:
            self.leader = pid
            with suppress(PermissionError):  # it has done so itself
                os.setpgid(pid, pid)
        self.running[pid] = connection
        self.selector.register(connection, selectors.EVENT_READ)
        _tell(connection, {"pid": pid})
        return None

    def close(self, connection: socket.socket) -> None:
        """Close, in a child, what is its parent's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        own = (self.listener, self.control, self.wake, self.waker, connection)
        for one in (*own, *self.running.values()):
            one.close()

    def pass_on(self, connection: socket.socket) -> None:
        """Send a process a signal, or kill it if the client is gone."""
        pid = next(pid for pid, one in self.running.items() if one is connection)
        try:
            received = connection.recv(1)
        except OSError:
            received = b""
        if received:
            os.kill(pid, received[0])
        else:
            self.selector.unregister(connection)
            self.kill(pid)

    def kill(self, pid: int) -> None:
        """Kill a process with its group, where it leads one."""
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)

    def reap(self) -> None:
        """Report how processes ended."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while self.running and (ended := os.waitid(os.P_ALL, 0, flags)):
            pid = ended.si_pid
            if pid == self.leader:
                # Not reaped yet, so its number is still its group's.
                os.killpg(pid, signal.SIGKILL)
                for other in self.running.keys() - {pid}:
                    self.kill(other)
                    self.ended(other)
                self.leader = 0
            self.ended(pid)

    def ended(self, pid: int) -> None:
        """Wait for a process and tell who started it."""
        _, status = os.waitpid(pid, 0)
        connection = self.running.pop(pid)
        with suppress(KeyError, ValueError):
            self.selector.unregister(connection)
        code = os.waitstatus_to_exitcode(status)
        _tell(connection, {"code": code, "used": _used() - self.used_before})
        connection.close()

    def end(self) -> None:
        """Kill everything."""
        for pid in list(self.running):
            self.kill(pid)
            self.ended(pid)


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _tell(connection: socket.socket, message: Mapping[str, object]) -> None:
    with suppress(OSError):  # it may be gone
        connection.sendall(json.dumps(message).encode() + b"\n")


def become(job: Job, streams: list[int]) -> None:
    """Set up this process as Python would have set up a new one."""
    try:
        os.setpgid(0, job["group"])
    except PermissionError:  # the group is in a session of its own
        os.setsid()
    os.chdir(job["directory"])
    os.environ.clear()
    os.environ.update(job["variables"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.umask(job["umask"])


def search_path(arguments: list[str], installed: list[str]) -> list[str]:
    """Return the search path of a program with these arguments."""
    added = [os.path.abspath(one) for one in _path_variable() if one]  # noqa: PTH100
    match arguments[0]:
        case "-P":
            return [*added, *installed]
        case "-m":
            first = os.getcwd()  # noqa: PTH109 - pathlib need not be loaded
        case "-c":
            first = ""
        case script:
            first = os.path.dirname(os.path.realpath(script))  # noqa: PTH120
    return [first, *added, *installed]


def _path_variable() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def run(arguments: list[str]) -> None:
    """Run a module, a line or a script as ``python`` would with these arguments."""
    sys.path[:] = search_path(arguments, sys.path)
    sys.pycache_prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    sys.orig_argv = [sys.executable, *arguments]
    importlib.invalidate_caches()
    if arguments[0] == "-P":
        arguments = arguments[1:]
    match arguments:
        case ["-m", module, *rest]:
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), main.__dict__)  # noqa: S102
        case [script, *rest]:
            sys.argv = [script, *rest]
            runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _, address, number, names, program = sys.argv
    # A shell starts background programs with SIGINT ignored; forks would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    preload(json.loads(names))
    with socket.socket(socket.AF_UNIX) as incoming:
        incoming.bind(address)
        incoming.listen(64)
        gc.collect()
        gc.freeze()  # so that collecting garbage copies no memory of the parent's
        print(READY, flush=True)  # noqa: T201
        server = Server(incoming, socket.socket(fileno=int(number)))
        asked = server.serve()
    if asked:
        if asked["leads"]:
            # What the project's tests start with this very Python is forked too.
            sys.path.insert(0, os.path.dirname(program))  # noqa: PTH120
            proxy = importlib.import_module(PROXY)
            sys.path.pop(0)
            proxy.install(program, address)
        run(asked["arguments"])
