"""Bodies that are too large, on real servers: with a length, and in chunks."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client, ReadError, Response, WriteError

from tools import live
from tools.template import render

MEGABYTE = b" " * 1_000_000
SIZE = 200  # megabytes
FRAMEWORKS = {"fastapi": "async", "flask": "sync", "django": "sync"}
# Without a length, Django's WSGI handler reads no body at all: the service says so.
REFUSED = {"fastapi": {413}, "flask": {413}, "django": {411, 413}}


def memory(group: int) -> int:
    """Return the kilobytes that a process group uses."""
    command = ("ps", "-o", "rss=", "-g", str(group))
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return sum(map(int, done.stdout.split()))


def chunks() -> Iterator[bytes]:
    for _ in range(SIZE):
        yield MEGABYTE


def post(client: Client, *, chunked: bool) -> Response | None:
    """Send a large body; the server may close the connection before it has read all."""
    body = chunks() if chunked else MEGABYTE * SIZE
    headers = {"Content-Type": "application/json"}
    try:
        return client.post("/users", content=body, headers=headers)
    except (ReadError, WriteError):
        return None


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_large_body_is_refused_and_not_kept(framework: str, tmp_path: Path) -> None:
    answers = {
        "framework": framework,
        "concurrency": FRAMEWORKS[framework],
        "size": "medium",
    }
    tree = render(answers, tmp_path / "project")
    project = live.make(tree, logs=tmp_path / "logs", variables={})
    with (
        project.server("/health/live") as (process, port),
        Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        before = memory(process.pid)
        found = [post(client, chunked=chunked) for chunked in (True, False) * 3]
        assert memory(process.pid) - before < 50_000
        assert client.get("/health/live").status_code == 200

    answered = [response for response in found if response is not None]
    assert answered
    for response in answered:
        assert response.status_code in REFUSED[framework]
        assert response.headers["content-type"] == "application/problem+json"
