"""What happens to jobs when workers are killed and the broker restarts: a table.

``python -m tools.crash [--only WORKER]`` or ``nox -s crash``.

For each library a project with workers alone, made as its users make it, gets 200 jobs;
each asks a site of ours for a page of its own, so what was done, and how often, is
counted where it has its effect. On the way the worker is killed twice with SIGKILL and
started again, and the broker, which writes its data to disk, restarts once. The same
again with a broker over TLS.

Then some jobs kill the process that runs them, whenever they are tried: they must end
among the failed jobs, without being tried more often than jobs are, and all others must
be done. A worker that ends is started again, as Compose does.
"""

import argparse
import json
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Event, Thread

import trustme
from rich.console import Console
from rich.table import Table

from python_patterns.questions import libraries_of
from tools import live, servers
from tools.template import FAMILY_ROOT, render

ANSWERS = {
    "framework": "none",
    "purpose": "worker",
    "size": "medium",
    "layout": "layer",
    "concurrency": "sync",
}
WORKERS = sorted(libraries_of(FAMILY_ROOT))
JOBS = 200
# How long a page takes, so that a worker that is killed is in the middle of a job.
PAGE_SECONDS = 0.05
# The less time a job may take, the sooner those of a killed worker are redelivered.
JOB_TIME_LIMIT_SECONDS = 5
PATIENCE_SECONDS = 300
# Where jobs kill their workers.
KILLERS = 3
OTHERS = 60
JOB_RETRIES = 3

ENQUEUE = """
import sys
from pathlib import Path
from app.jobs.checks import check_all

path, *urls = sys.argv[1:]
Path(path).write_text(" ".join(str(check_all([url])) for url in urls))
"""
# Prints the status of each job, once none is queued or the time is over.
WAIT = """
import json
import sys
import time
from pathlib import Path
from uuid import UUID
from app.commands.checks import find_result

jobs = Path(sys.argv[1]).read_text().split()
found = dict.fromkeys(jobs, "queued")
until = time.monotonic() + float(sys.argv[2])
while "queued" in found.values() and time.monotonic() < until:
    time.sleep(0.5)
    waiting = [job for job in jobs if found[job] == "queued"]
    found |= {job: find_result(UUID(job))[0] for job in waiting}
print(json.dumps(found))
"""
# Added to what does the work of a job.
KILL = """

_check_site = check_site


def check_site(client, url):
    import os
    import signal

    report = _check_site(client, url)
    if "/kill/" in str(url):
        os.kill(os.getpid(), signal.SIGKILL)
    return report
"""


@dataclass(frozen=True)
class Outcome:
    """What became of the jobs of one library.

    Attributes:
        worker: The library, as the answer.
        case: What happened to them.
        jobs: How many there were, without those that kill their worker.
        lost: Jobs that were not done within five minutes.
        twice: Jobs that were done more than once.
        seconds: From the first start of a worker until the last job was done.
        bounded: The share of jobs that kill their worker which end among the failed
            jobs, and are not tried more often than others.
    """

    worker: str
    case: str
    jobs: int
    lost: int
    twice: int
    seconds: float
    bounded: float | None = None


class Pages(ThreadingHTTPServer):
    """A site that counts how often each of its pages was asked for.

    Attributes:
        asked: How often, by path; counted when the page is there.
        begun: How many pages were asked for, with those that are not there yet.
        seconds: How long a page takes.
    """

    daemon_threads = True
    # Many workers may ask at once.
    request_queue_size = 128

    def __init__(self, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.asked: Counter[str] = Counter()
        self.begun = 0
        self.seconds = seconds

    @property
    def address(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self.server_port}"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Pages)  # noqa: S101 - narrows the type
        self.server.begun += 1
        time.sleep(self.server.seconds)
        self.server.asked[self.path] += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def pages_of(seconds: float) -> Iterator[Pages]:
    """Serve pages, each of which takes so long."""
    with Pages(seconds) as pages:
        Thread(target=pages.serve_forever, daemon=True).start()
        yield pages
        pages.shutdown()


def make(worker: str, scratch: Path, url: str) -> live.Project:
    """Make a project with workers of a library.

    Args:
        worker: The library, as the answer.
        scratch: An empty directory.
        url: The address of its broker.
    """
    return live.make(
        render(ANSWERS | {"worker": worker}, scratch / "project"),
        logs=scratch / "logs",
        variables={
            "BROKER_URL": url,
            "JOB_RETRIES": str(JOB_RETRIES),
            "JOB_TIME_LIMIT_SECONDS": str(JOB_TIME_LIMIT_SECONDS),
        },
    )


def enqueue(project: live.Project, jobs: Path, urls: Sequence[str]) -> None:
    """Enqueue a job for each page, and write their IDs to a file."""
    project.run(("python", "-c", ENQUEUE, str(jobs), *urls))


def wait_for(project: live.Project, jobs: Path) -> list[str]:
    """Return what became of the jobs whose IDs are in a file."""
    printed = project.run(
        ("python", "-c", WAIT, str(jobs), str(PATIENCE_SECONDS)),
        seconds=PATIENCE_SECONDS + 30,
    )
    found: dict[str, str] = json.loads(printed.splitlines()[-1])
    return list(found.values())


@contextmanager
def tls(port: int, scratch: Path) -> Iterator[str]:
    """Put a proxy with TLS before a broker, and yield the broker's address there."""
    authority = trustme.CA()
    certificate = scratch / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with servers.tls_proxy(port, context) as secure:
        yield f"rediss://127.0.0.1:{secure}/0?ssl_ca_certs={certificate}"


def crash(worker: str, scratch: Path, *, with_tls: bool = False) -> Outcome:
    """Enqueue jobs, and kill a library's workers and the broker meanwhile.

    Args:
        worker: The library, as the answer.
        scratch: An empty directory.
        with_tls: Whether the broker is reached over TLS.

    Raises:
        RuntimeError: A program of the project does not start.
        TimeoutError: Workers do nothing for half a minute before the last crash.
    """
    data = scratch / "data"
    data.mkdir()
    port = live.free_port()
    with ExitStack() as around:
        url = f"redis://127.0.0.1:{port}/0"
        if with_tls:
            url = around.enter_context(tls(port, scratch))
        project = make(worker, scratch, url)
        pages = around.enter_context(pages_of(PAGE_SECONDS))

        def done(share: float) -> None:
            wanted = share * JOBS
            what = f"{wanted:.0f} jobs of {worker}"
            live.wait_until(lambda: len(pages.asked) >= wanted, what, pause=0.01)

        def is_busy() -> bool:
            return pages.begun > pages.asked.total()

        jobs = scratch / "jobs"
        with servers.redis_server(port, data):
            enqueue(project, jobs, [f"{pages.address}/{n}" for n in range(JOBS)])
            start = time.monotonic()
            for share in (0.2, 0.4):
                with project.worker() as process:
                    done(share)
                    live.wait_until(is_busy, "a job to interrupt", pause=0.001)
                    live.kill(process)
            with ExitStack() as stack:
                process = stack.enter_context(project.worker())
                done(0.6)
                workers = stack.pop_all()
        with workers, servers.redis_server(port, data):
            found = wait_for(project, jobs)
            seconds = time.monotonic() - start
            live.stop(process)
        twice = sum(times > 1 for times in pages.asked.values())
    case = "killed, over TLS" if with_tls else "killed"
    lost = len(found) - found.count("done")
    return Outcome(worker, case, JOBS, lost, twice, seconds)


@contextmanager
def supervised(project: live.Project) -> Iterator[None]:
    """Run a worker, and another whenever it ends."""
    over = Event()

    def supervise() -> None:
        while not over.is_set():
            with project.worker() as process:
                while process.poll() is None and not over.wait(0.1):
                    pass

    thread = Thread(target=supervise)
    thread.start()
    yield
    over.set()
    thread.join()


def kill_from_within(worker: str, scratch: Path) -> Outcome:
    """Enqueue jobs, some of which kill the process that runs them.

    Args:
        worker: The library, as the answer.
        scratch: An empty directory.

    Raises:
        RuntimeError: A program of the project does not start.
    """
    with servers.redis_server() as port, pages_of(PAGE_SECONDS) as pages:
        project = make(worker, scratch, f"redis://127.0.0.1:{port}/0")
        source = project.tree / "app" / "services" / "checks.py"
        source.write_text(source.read_text("utf-8") + KILL, encoding="utf-8")
        killers, others = scratch / "killers", scratch / "others"
        paths = [f"/kill/{n}" for n in range(KILLERS)]
        enqueue(project, killers, [pages.address + path for path in paths])
        enqueue(project, others, [f"{pages.address}/{n}" for n in range(OTHERS)])
        start = time.monotonic()
        with supervised(project):
            found = wait_for(project, others)
            wait_for(project, killers)
            seconds = time.monotonic() - start
        failed = project.run(project.commands.failed)
        jobs = killers.read_text("utf-8").split()
        bounded = sum(
            pages.asked[path] <= JOB_RETRIES + 1 and job in failed
            for path, job in zip(paths, jobs, strict=True)
        )
        twice = sum(pages.asked[f"/{n}"] > 1 for n in range(OTHERS))
    lost = len(found) - found.count("done")
    case = "killed by jobs"
    return Outcome(worker, case, OTHERS, lost, twice, seconds, bounded / KILLERS)


def main() -> int:
    """Run the command line.

    Returns:
        The exit status: 1 where a job was lost or tried without bound.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.crash",
        description="Kill workers and the broker, and count jobs lost and done twice.",
    )
    parser.add_argument("--only", choices=WORKERS, help="one library")
    only: str | None = parser.parse_args().only
    columns = ("jobs", "lost", "done twice", "seconds to drain", "bounded")
    table = Table("library", "workers are", *columns)
    outcomes = []
    cases: tuple[Callable[[str, Path], Outcome], ...]
    cases = (crash, partial(crash, with_tls=True), kill_from_within)
    for worker, case in product([only] if only else WORKERS, cases):
        with tempfile.TemporaryDirectory(prefix="python-patterns-crash-") as scratch:
            outcome = case(worker, Path(scratch))
        outcomes.append(outcome)
        bounded = "" if outcome.bounded is None else f"{outcome.bounded:.0%}"
        counts = (outcome.jobs, outcome.lost, outcome.twice, f"{outcome.seconds:.0f}")
        table.add_row(worker, outcome.case, *map(str, counts), bounded)
    Console().print(table)
    return int(any(one.lost or one.bounded not in {None, 1.0} for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
