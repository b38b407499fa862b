"""The baseline of the benchmark for the jobs of a Celery project.

The same work, written in one file: ``celery --app celery_jobs worker``, and
``python celery_jobs.py ADDRESS NUMBER`` to enqueue. No settings, no retries, no limits,
no request ids, no log but Celery's.
"""

import os
import sys

from celery import Celery
from httpx2 import Client

broker = os.environ["BROKER_URL"]
app = Celery("celery_jobs", broker=broker, backend=broker)


@app.task
def check_sites(urls: list[str]) -> list[bool]:
    """Check whether sites are up."""
    with Client(timeout=5, follow_redirects=True) as client:
        return [client.get(url).is_success for url in urls]


@app.task
def report(sites: list[bool]) -> dict[str, int]:
    """Count those that are up."""
    return {"up": sum(sites)}


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        (check_sites.s([f"{sys.argv[1]}/{number}"]) | report.s()).delay()
