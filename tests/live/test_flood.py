"""Stage 5: many logins at once leave the service to its other clients.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import re
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest
from httpx2 import Client
from test_database import SERVICES, connect

from tools import live, servers
from tools.template import render

CLIENTS = 40
SECONDS = 10
# What another client of the service may wait, as a median. The machine is busy: the
# test, the service and the hashing share its cores.
PATIENCE = 2.0


@pytest.mark.parametrize("name", SERVICES)
def test_a_flood_of_wrong_passwords_leaves_the_service_to_others(
    name: str, tmp_path: Path
) -> None:
    """Passwords are hashed at the cost of production; half of the users exist."""
    ended = Event()

    def log_in(port: int, email: str) -> Counter[int]:
        statuses: Counter[int] = Counter()
        form = {"username": email, "password": "wrong horse"}
        with connect(port) as client:
            while not ended.is_set():
                statuses[client.post("/users/token", data=form).status_code] += 1
                time.sleep(0.1)
        return statuses

    def measure(client: Client) -> dict[str, float]:
        seconds: dict[str, list[float]] = {"/products": [], "/health/ready": []}
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for path, spent in seconds.items():
                start = time.monotonic()
                assert client.get(path).status_code == 200
                spent.append(time.monotonic() - start)
            time.sleep(0.05)
        return {path: statistics.median(spent) for path, spent in seconds.items()}

    with ExitStack() as stack:
        url = stack.enter_context(servers.postgresql_server())
        tree = render(SERVICES[name], tmp_path / "project")
        driver = live.settings(tree)["DATABASE_URL"].partition(":")[0]
        variables = {
            "DATABASE_URL": re.sub("^postgresql", driver, url),
            # What is tried is the queue for hashing.
            "CLIENT_ATTEMPTS": "1000000",
            "LOGIN_ATTEMPTS": "1000000",
        }
        project = live.make(tree, logs=tmp_path / "logs", variables=variables)
        project.prepare()
        _, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        account = {"email": "ada@example.com", "name": "Ada", "password": "right horse"}
        assert client.post("/users", json=account).status_code == 201

        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        stack.callback(ended.set)
        emails = ["ada@example.com", "nobody@example.com"] * (CLIENTS // 2)
        logins = [pool.submit(log_in, port, email) for email in emails]
        seconds = measure(client)
        ended.set()
        statuses = sum((one.result() for one in logins), Counter[int]())

    assert set(statuses) == {401, 503}, statuses
    assert max(seconds.values()) < PATIENCE, seconds
