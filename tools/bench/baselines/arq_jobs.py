"""The baseline of the benchmark for the jobs of an ARQ project.

The same work, written in one file: ``arq arq_jobs.WorkerSettings``, and
``python arq_jobs.py ADDRESS NUMBER`` to enqueue. No settings, no retries, no limits, no
request ids, no log but ARQ's.
"""

import asyncio
import os
import sys
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings
from httpx2 import Client

settings = RedisSettings.from_dsn(os.environ["BROKER_URL"])
client = Client(timeout=5, follow_redirects=True)


async def check_sites(_ctx: dict[Any, Any], urls: list[str]) -> dict[str, int]:
    """Check whether sites are up, and count those that are."""
    answers = [await asyncio.to_thread(client.get, url) for url in urls]
    return {"up": sum(answer.is_success for answer in answers)}


class WorkerSettings:
    """What ARQ asks for."""

    functions: ClassVar = [check_sites]
    redis_settings = settings


async def enqueue(address: str, number: int) -> None:
    """Enqueue jobs."""
    pool = await create_pool(settings)
    for n in range(number):
        await pool.enqueue_job("check_sites", [f"{address}/{n}"])
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(enqueue(sys.argv[1], int(sys.argv[2])))
