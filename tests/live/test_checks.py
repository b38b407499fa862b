"""Stage 5: many sites at a time, sites that never end, jobs over their time limit."""

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Client

from tools import live, servers
from tools.crash import WORKERS
from tools.live import Project, wait_until
from tools.template import render

MANY = 400
WEB: Mapping[str, Mapping[str, str]] = {
    "fastapi": {"framework": "fastapi", "size": "small", "concurrency": "async"},
    "fastapi-sync": {"framework": "fastapi", "size": "small", "concurrency": "sync"},
    "flask": {"framework": "flask", "size": "small", "concurrency": "sync"},
    "django": {"framework": "django", "size": "small", "concurrency": "async"},
    "django-sync": {"framework": "django", "size": "small", "concurrency": "sync"},
}


class Site(BaseHTTPRequestHandler):
    """A site that takes half a second; what else it does is in the path."""

    asked: list[str]
    released: Event
    dropped: Event

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        with suppress(OSError):
            if self.path == "/held":
                self.released.wait(120)
            elif self.path == "/drip":
                self.drip()
            else:
                time.sleep(0.5)
            self.send_response(200)
            self.end_headers()

    def drip(self) -> None:
        """Send a header for a minute, a byte at a time."""
        try:
            for byte in b"HTTP/1.1 200 OK\r\nDrip: " + b"." * 600:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            self.dropped.set()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Takes all requests at once."""

    request_queue_size = 1000


@pytest.fixture
def site() -> Iterator[str]:
    """Return the address of a site that nobody has asked yet."""
    Site.asked, Site.released, Site.dropped = [], Event(), Event()
    with Server(("127.0.0.1", 0), Site) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        Site.released.set()
        server.shutdown()


def make(answers: Mapping[str, Any], directory: Path, **variables: object) -> Project:
    tree = render(answers, directory / "project")
    texts = {name: str(value) for name, value in variables.items()}
    return live.make(tree, logs=directory / "logs", variables=texts)


def assert_only_the_drip_is_down(report: Mapping[str, Any], up: int) -> None:
    down = [site for site in report["sites"] if not site["up"]]
    assert [(site["url"][-5:], site["error"]) for site in down] == [
        ("/drip", "TimeoutError")
    ]
    assert (report["up"], report["down"]) == (up, 1)
    # Nothing is left behind.
    assert Site.dropped.wait(10)


def command(project: Project, *words: object) -> tuple[str, ...]:
    """Return a command of a project without a framework."""
    small = (project.tree / "main.py").exists()
    start = ("python", "main.py") if small else ("python", "-m", "app.main")
    return (*start, *map(str, words))


@pytest.mark.parametrize("concurrency", ["async", "sync"])
def test_a_script_calls_no_healthy_site_down(
    concurrency: str, tmp_path: Path, site: str
) -> None:
    answers = {"framework": "none", "purpose": "script", "concurrency": concurrency}
    project = make({**answers, "size": "small"}, tmp_path)
    listed = tmp_path / "sites.txt"
    listed.write_text("".join(f"{site}/{n}\n" for n in range(MANY)) + f"{site}/drip\n")

    words = ("check", "--file", listed, "--timeout", "2", "--json")
    ended = project.ended(command(project, *words))
    assert ended.returncode == 1
    assert_only_the_drip_is_down(json.loads(ended.stdout), MANY)


@pytest.mark.parametrize("web", WEB)
def test_a_service_calls_no_healthy_site_down(
    web: str, tmp_path: Path, site: str
) -> None:
    sites = [f"{site}/drip", *(f"{site}/{n}" for n in range(99))]
    project = make(
        {**WEB[web], "worker": "none", "database": "none"},
        tmp_path,
        SITES=json.dumps(sites),
        CHECK_TIMEOUT_SECONDS=2,
    )

    def check(client: Client) -> Any:  # noqa: ANN401
        return client.get("/checks").json()

    with (
        project.server("/health/live") as (_, port),
        ThreadPoolExecutor(4) as pool,
        Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        for report in pool.map(check, [client] * 4):
            assert_only_the_drip_is_down(report, 99)


@pytest.mark.parametrize("concurrency", ["async", "sync"])
@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_calls_no_healthy_site_down(
    worker: str, concurrency: str, tmp_path: Path, site: str
) -> None:
    with servers.redis_server() as redis:
        project = make_worker(
            worker,
            concurrency,
            tmp_path,
            redis,
            CHECK_TIMEOUT_SECONDS=2,
            JOB_TIME_LIMIT_SECONDS=60,
        )
        urls = [f"{site}/{n}" for n in range(MANY)]
        job = project.run(command(project, "check", f"{site}/drip", *urls)).strip()
        with project.worker():
            result = project.run(command(project, "result", job, "--wait", "60"))
    assert_only_the_drip_is_down(json.loads(result)["result"], MANY)


def make_worker(
    worker: str, concurrency: str, directory: Path, redis: int, **limits: int
) -> Project:
    """Make a worker with these time limits of a check and of a job."""
    answers = {"framework": "none", "purpose": "worker", "size": "small"}
    return make(
        {**answers, "worker": worker, "concurrency": concurrency},
        directory,
        BROKER_URL=f"redis://127.0.0.1:{redis}/0",
        JOB_RETRIES=2,
        **limits,
    )


@pytest.mark.parametrize("concurrency", ["async", "sync"])
@pytest.mark.parametrize("worker", WORKERS)
def test_a_job_over_its_time_limit_is_stopped_and_retried(
    worker: str, concurrency: str, tmp_path: Path, site: str
) -> None:
    number = 20
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis_server())
        # One check may take longer than the job: its threads would hold it up.
        project = make_worker(
            worker,
            concurrency,
            tmp_path,
            redis,
            CHECK_TIMEOUT_SECONDS=100,
            JOB_TIME_LIMIT_SECONDS=3,
        )
        urls = [f"{site}/held"] * number
        job = UUID(project.run(command(project, "check", *urls)).strip())
        stack.enter_context(project.worker())
        wait_until(lambda: len(Site.asked) == number, "the first try")
        wait_until(lambda: len(Site.asked) > number, "the second try")
        Site.released.set()
        result = project.run(command(project, "result", job, "--wait", "30"))
        assert json.loads(result)["result"]["up"] == number


@pytest.mark.parametrize("worker", WORKERS)
def test_a_job_that_is_always_over_its_time_limit_is_kept(
    worker: str, tmp_path: Path, site: str
) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis_server())
        project = make_worker(
            worker,
            "sync",
            tmp_path,
            redis,
            CHECK_TIMEOUT_SECONDS=100,
            JOB_TIME_LIMIT_SECONDS=2,
        )
        project.run(command(project, "check", f"{site}/held"))
        stack.enter_context(project.worker())
        wait_until(lambda: len(Site.asked) == 3, "all tries", seconds=120)

        def is_kept() -> bool:
            return "/held" in project.run(project.commands.failed)

        wait_until(is_kept, "the failed job")
        assert len(Site.asked) == 3
