"""Stage 5: the servers, started as their images start them.

Not among the default tests: ``nox -s live``.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tools import live
from tools.template import render

SHAPE = {
    "purpose": "api",
    "size": "medium",
    "layout": "layer",
    "database": "sqlite",
    "worker": "none",
}
SERVERS = {
    "fastapi": {"framework": "fastapi", "concurrency": "async"},
    "flask": {"framework": "flask", "concurrency": "sync"},
    "django": {"framework": "django", "concurrency": "sync"},
    "django-async": {"framework": "django", "concurrency": "async"},
}
# What servers keep idle connections for by default: 2 seconds (gunicorn), 5 (uvicorn).
DEFAULT_SECONDS = 5


def image_command(tree: Path, port: int) -> list[str]:
    """Return the last CMD of the Dockerfile, for this port of this machine."""
    text = (tree / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    command: list[str] = json.loads(re.findall(r"^CMD (.*)$", text, re.MULTILINE)[-1])
    words = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in command]
    return words if "gunicorn" in words else [*words, "--port", str(port)]


def make(tree: Path, scratch: Path, **variables: str) -> live.Project:
    """Prepare a project for production, with a database of its own."""
    scheme = live.settings(tree)["DATABASE_URL"].partition(":")[0]
    database = {"DATABASE_URL": f"{scheme}:///{scratch / 'live.db'}"}
    settings = {**live.PRODUCTION, **database, **variables}
    return live.make(tree, logs=scratch / "logs", variables=settings)


@contextmanager
def start(tree: Path, scratch: Path) -> Iterator[tuple[int, int]]:
    """Run the image's command; yield the process ID and the port."""
    project = make(tree, scratch)
    project.prepare()
    port = live.free_port()
    log = scratch / "logs" / "image.log"
    with project.running(image_command(tree, port), log) as process:
        live.wait_until(
            lambda: live.answers(port, "/health/ready", process), "the server's answer"
        )
        yield process.pid, port


def ask(connection: HTTPConnection) -> int:
    connection.request("GET", "/health/live")
    response = connection.getresponse()
    response.read()
    return response.status


def open_files(pid: int) -> set[str]:
    """Return the files that a process and its children have open for writing."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = set[str]()
    for process in (str(pid), *children):
        for link in Path(f"/proc/{process}/fd").iterdir():
            target = str(link.readlink())
            flags = Path(f"/proc/{process}/fdinfo/{link.name}").read_text()
            mode = int(re.findall(r"flags:\s+(\d+)", flags)[0], 8)
            if target.startswith("/") and mode & 0b11:
                found.add(target.removesuffix(" (deleted)"))
    return found


@pytest.mark.parametrize("server", SERVERS)
def test_an_image_serves_behind_a_proxy_and_without_a_disk(
    server: str, tmp_path: Path
) -> None:
    tree = render({**SHAPE, **SERVERS[server]}, tmp_path / "project")

    with (
        start(tree, tmp_path) as (pid, port),
        closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection,
    ):
        assert ask(connection) == 200
        # By default, a second request opens a new connection.
        connection.auto_open = 0
        time.sleep(DEFAULT_SECONDS + 2)
        assert ask(connection) == 200

        # A read-only container has only memory to write to, and devices.
        outside = {
            file
            for file in open_files(pid)
            if not file.startswith(("/dev/", str(tmp_path)))
        }
        assert outside == set()

    # Not in gunicorn's own format: in production, logs are JSON.
    log = (tmp_path / "logs" / "image.log").read_text("utf-8")
    assert [line for line in log.splitlines() if line.startswith("[")] == []


@pytest.mark.parametrize("server", SERVERS)
def test_an_image_ends_if_a_setting_is_not_valid(server: str, tmp_path: Path) -> None:
    tree = render({**SHAPE, **SERVERS[server]}, tmp_path / "project")
    project = make(tree, tmp_path, LOG_LEVEL="LOUD")

    ended = project.ended(image_command(tree, live.free_port()), seconds=60)
    assert ended.returncode != 0
    assert "Invalid settings: LOG_LEVEL: Input should be 'DEBUG'" in ended.stderr
    assert "Traceback" not in ended.stderr
