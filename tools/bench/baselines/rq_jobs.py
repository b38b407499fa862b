"""The baseline of the benchmark for the jobs of an RQ project.

The same work, written in one file: ``rq worker``, and ``python rq_jobs.py ADDRESS
NUMBER`` to enqueue. No settings, no retries, no limits, no request ids, no log but that
of RQ.
"""

import os
import sys

from httpx2 import Client
from redis import Redis
from rq import Queue


def check_sites(urls: list[str]) -> dict[str, int]:
    """Check whether sites are up, and count those that are."""
    with Client(timeout=5, follow_redirects=True) as client:
        return {"up": sum(client.get(url).is_success for url in urls)}


if __name__ == "__main__":
    queue = Queue(connection=Redis.from_url(os.environ["BROKER_URL"]))
    for number in range(int(sys.argv[2])):
        queue.enqueue("rq_jobs.check_sites", [f"{sys.argv[1]}/{number}"])
