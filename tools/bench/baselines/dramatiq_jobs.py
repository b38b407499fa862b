"""The baseline of the benchmark for the jobs of a Dramatiq project.

The same work, written in one file: ``dramatiq --processes 2 dramatiq_jobs``, and
``python dramatiq_jobs.py ADDRESS NUMBER`` to enqueue. No settings, no request ids, no
limits and retries but Dramatiq's, no log but Dramatiq's.
"""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from httpx2 import Client

broker = RedisBroker(url=os.environ["BROKER_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BROKER_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def check_sites(urls: list[str]) -> dict[str, int]:
    """Check whether sites are up, and count those that are."""
    with Client(timeout=5, follow_redirects=True) as client:
        return {"up": sum(client.get(url).is_success for url in urls)}


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        check_sites.send([f"{sys.argv[1]}/{number}"])
