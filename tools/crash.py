"""What happens to jobs when workers are killed and the broker restarts: a table.

``python -m tools.crash [--only WORKER]`` or ``nox -s crash``.

For each library a project with workers alone, made as its users make it, gets 200 jobs;
each asks a site of ours for a page of its own, so what was done, and how often, is
counted where it has its effect. On the way the worker is killed twice with SIGKILL and
started again, and the broker, which writes its data to disk, restarts once.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from rich.console import Console
from rich.table import Table

from tools import live, servers
from tools.questions import libraries_of
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

ENQUEUE = """
import sys
from pathlib import Path
from app.jobs.checks import check_all

site, number, path = sys.argv[1:]
jobs = [check_all([f"{site}/{n}"]) for n in range(int(number))]
Path(path).write_text(" ".join(map(str, jobs)))
"""
# Prints how many jobs are not done, once all are or the time is over.
WAIT = """
import sys
import time
from pathlib import Path
from uuid import UUID
from app.commands.checks import find_result

waiting = Path(sys.argv[1]).read_text().split()
until = time.monotonic() + float(sys.argv[2])
while waiting and time.monotonic() < until:
    time.sleep(0.5)
    waiting = [job for job in waiting if find_result(UUID(job))[0] != "done"]
print(len(waiting))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of the jobs of one library.

    Attributes:
        worker: The library, as the answer.
        lost: Jobs that were not done within five minutes.
        twice: Jobs that were done more than once.
        seconds: From the first start of a worker until the last job was done.
    """

    worker: str
    lost: int
    twice: int
    seconds: float


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


def crash(worker: str, scratch: Path) -> Outcome:
    """Enqueue jobs, and kill a library's workers and the broker meanwhile.

    Args:
        worker: The library, as the answer.
        scratch: An empty directory.

    Raises:
        RuntimeError: A program of the project does not start.
        TimeoutError: Workers do nothing for half a minute before the last crash.
    """
    data = scratch / "data"
    data.mkdir()
    port = live.free_port()
    project = live.make(
        render(ANSWERS | {"worker": worker}, scratch / "project"),
        logs=scratch / "logs",
        variables={
            "BROKER_URL": f"redis://127.0.0.1:{port}/0",
            "JOB_TIME_LIMIT_SECONDS": str(JOB_TIME_LIMIT_SECONDS),
        },
    )
    with pages_of(PAGE_SECONDS) as pages:

        def done(share: float) -> None:
            wanted = share * JOBS
            what = f"{wanted:.0f} jobs of {worker}"
            live.wait_until(lambda: len(pages.asked) >= wanted, what, pause=0.01)

        def is_busy() -> bool:
            return pages.begun > pages.asked.total()

        with servers.redis_server(port, data):
            jobs = str(scratch / "jobs")
            project.run(("python", "-c", ENQUEUE, pages.address, str(JOBS), jobs))
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
            waiting = project.run(
                ("python", "-c", WAIT, jobs, str(PATIENCE_SECONDS)),
                seconds=PATIENCE_SECONDS + 30,
            )
            seconds = time.monotonic() - start
            live.stop(process)
        twice = sum(times > 1 for times in pages.asked.values())
    return Outcome(worker, int(waiting.split()[-1]), twice, seconds)


def main() -> int:
    """Run the command line and return the exit status: 1 where a job was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.crash",
        description="Kill workers and the broker, and count jobs lost and done twice.",
    )
    parser.add_argument("--only", choices=WORKERS, help="one library")
    only: str | None = parser.parse_args().only
    table = Table(f"of {JOBS} jobs", "lost", "done twice", "seconds to drain")
    outcomes = []
    for worker in [only] if only else WORKERS:
        with tempfile.TemporaryDirectory(prefix="python-patterns-crash-") as scratch:
            outcome = crash(worker, Path(scratch))
        outcomes.append(outcome)
        values = (outcome.lost, outcome.twice, f"{outcome.seconds:.0f}")
        table.add_row(worker, *map(str, values))
    Console().print(table)
    return int(any(outcome.lost for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
