"""Stage 5: many clients of one PostgreSQL, which goes away and comes back.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier, Event

import pytest
from httpx2 import Client, Response

from tools import live, servers
from tools.combinations import find_combinations, select
from tools.live import Project, wait_until
from tools.template import FAMILY_ROOT, render

SHAPE = ("size=medium", "layout=layer", "database=postgresql", "worker=none")
# By framework and concurrency; of two mappers, one is named too.
SERVICES = {
    "-".join(
        [combination.answers["framework"], combination.answers["concurrency"]]
        + (["tortoise"] if combination.answers.get("orm") == "tortoise" else [])
    ): combination.answers
    for combination in select(find_combinations(FAMILY_ROOT), [*SHAPE, "purpose=api"])
    if combination.answers.get("websocket") != "yes"
}
(SITE,) = (
    combination.answers
    for combination in select(
        find_combinations(FAMILY_ROOT), [*SHAPE, "purpose=site", "concurrency=sync"]
    )
)
CLIENTS = 50
SECONDS = 10
STOPS = 3
CONNECTIONS = """
import sys
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    for row in connection.execute(
        "SELECT state FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
    ):
        print(row[0])
"""

LOCK = """
import sys
import time
import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    connection.execute(f"LOCK TABLE {sys.argv[2]}")
    time.sleep(15)
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """Return a directory that PostgreSQL's own user may reach."""
    directory = Path(tempfile.mkdtemp(prefix="python-patterns-postgresql-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def connect(port: int) -> Client:
    url = f"http://127.0.0.1:{port}"
    return Client(base_url=url, headers=live.HTTPS, timeout=60)


def make(answers: Mapping[str, str], directory: Path, url: str) -> Project:
    """Render a project and make the tables in its database."""
    tree = render(answers, directory / "project")
    variables = {**live.cheap_passwords(tree), "DATABASE_URL": url}
    if answers["framework"] == "django":
        # In development Django shows its own pages for errors.
        variables |= live.PRODUCTION
    project = live.make(tree, logs=directory / "logs", variables=variables)
    project.prepare()
    return project


@contextmanager
def serving(name: str, directory: Path) -> Iterator[tuple[Project, int, str]]:
    """Run a service over a database of its own."""
    with ExitStack() as stack:
        url = stack.enter_context(servers.postgresql_server())
        project = make(SERVICES[name], directory, url)
        _, port = stack.enter_context(project.server())
        yield project, port, url


def register(client: Client) -> dict[str, str]:
    """Register a user, log in, and return the headers that say who asks."""
    account = {"email": "ada@example.com", "name": "Ada", "password": "correct horse 1"}
    assert client.post("/users", json=account).status_code == 201
    form = {"username": account["email"], "password": account["password"]}
    token = client.post("/users/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def offer(client: Client, owner: Mapping[str, str]) -> Response:
    product = {"name": "Chair", "price_cents": 0}
    return client.post("/products", json=product, headers=owner)


def number_of_products(client: Client) -> int:
    total: int = client.get("/products").json()["total"]
    return total


@pytest.mark.parametrize("name", SERVICES)
def test_no_update_of_fifty_clients_is_lost(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as (project, port, url), connect(port) as client:
        owner = register(client)
        # Two clients for each product: one changes its name, one its price.
        products = [offer(client, owner).json()["id"] for _ in range(CLIENTS // 2)]
        fields = ("name", "price_cents")

        def change(number: int) -> int:
            path = f"/products/{products[number // 2]}"
            field = fields[number % 2]
            changes = 0
            with connect(port) as client:
                until = time.monotonic() + SECONDS
                while time.monotonic() < until:
                    value = str(changes + 1) if field == "name" else changes + 1
                    answer = client.patch(path, json={field: value}, headers=owner)
                    assert answer.status_code == 200, answer.text
                    changes += 1
                    assert offer(client, owner).status_code == 201
            return changes

        with ThreadPoolExecutor(CLIENTS) as pool:
            changes = list(pool.map(change, range(CLIENTS)))

        for number, times in enumerate(changes):
            found = client.get(f"/products/{products[number // 2]}").json()
            assert int(found[fields[number % 2]]) == times
        assert number_of_products(client) == len(products) + sum(changes)
        states = project.run(("python", "-c", CONNECTIONS, url)).split("\n")
        assert set(filter(None, states)) == {"idle"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_address_that_registers_twice_at_once_gets_one_account(
    name: str, tmp_path: Path
) -> None:
    together = Barrier(6)  # more would be refused while passwords are hashed

    def sign_up(port: int) -> list[int]:
        statuses = []
        with connect(port) as client:
            for number in range(10):
                account = {
                    "email": f"user{number}@example.com",
                    "name": "Ada",
                    "password": "correct horse 1",
                }
                together.wait()
                statuses.append(client.post("/users", json=account).status_code)
        return statuses

    with serving(name, tmp_path) as (_, port, _), ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(sign_up, [port] * together.parties))
    for statuses in zip(*answers, strict=True):
        assert Counter(statuses) == {201: 1, 409: together.parties - 1}


def seconds_until_stopped(client: Client) -> float:
    """Ask until a statement is stopped, and return how long that request took."""
    seconds = 0.0

    def is_stopped() -> bool:
        nonlocal seconds
        start = time.monotonic()
        answer = client.get("/products")
        seconds = time.monotonic() - start
        assert answer.status_code in {200, 503}, answer.text
        return answer.status_code == 503

    wait_until(is_stopped, "stop a statement")
    return seconds


@pytest.mark.parametrize("name", SERVICES)
def test_a_statement_that_takes_too_long_is_stopped(name: str, tmp_path: Path) -> None:
    table = "products_product" if name.startswith("django") else "products"

    with serving(name, tmp_path) as (project, port, url), ExitStack() as stack:
        client = stack.enter_context(connect(port))
        assert client.get("/products").status_code == 200
        pool = stack.enter_context(ThreadPoolExecutor(1))
        locked = pool.submit(project.run, ("python", "-c", LOCK, url, table))
        assert 5 < seconds_until_stopped(client) < 13
        locked.result()
        assert client.get("/products").status_code == 200


@pytest.mark.parametrize("name", SERVICES)
def test_a_database_that_comes_back_is_found_again(
    name: str, tmp_path: Path, data: Path
) -> None:
    ended = Event()
    stored: list[int] = []

    def work(port: int, owner: Mapping[str, str]) -> set[int]:
        statuses = set()
        with connect(port) as client:
            while not ended.is_set():
                answer = offer(client, owner)
                statuses.add(answer.status_code)
                if answer.status_code == 201:
                    stored.append(answer.json()["id"])
                else:
                    problem = answer.json()
                    assert problem["code"] == "service_unavailable", problem
                time.sleep(0.1)
        return statuses

    with ThreadPoolExecutor(16) as pool, ExitStack() as stack:
        stack.callback(ended.set)
        with servers.postgresql_server(data) as url:
            project = make(SERVICES[name], tmp_path, url)
            _, port = stack.enter_context(project.server())
            client = stack.enter_context(connect(port))
            owner = register(client)
            clients = [pool.submit(work, port, owner) for _ in range(16)]

            def is_stored(number: int) -> bool:
                for one in clients:
                    if one.done():
                        one.result()  # raises what it found
                return len(stored) >= number

            def store_more() -> None:
                wanted = len(stored) + 100
                wait_until(lambda: is_stored(wanted), "work")

            store_more()
        start = time.monotonic()
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        assert time.monotonic() - start < 25
        time.sleep(2)
        # A server says in several ways that it stops: by chance, so it does so again.
        for _ in range(STOPS):
            with servers.postgresql_server(data):
                store_more()
        stack.enter_context(servers.postgresql_server(data))
        store_more()
        ended.set()
        assert set().union(*(one.result() for one in clients)) == {201, 503}
        # An answer may be lost with the database, but nothing that was answered.
        assert number_of_products(client) >= len(stored)
        for _ in range(20):
            assert offer(client, owner).status_code == 201


def test_a_site_says_that_its_database_is_away(tmp_path: Path, data: Path) -> None:
    with ExitStack() as stack:
        with servers.postgresql_server(data) as url:
            project = make(SITE, tmp_path, url)
            project.run(("python", "manage.py", "collectstatic", "--noinput"))
            _, port = stack.enter_context(project.server())
            client = stack.enter_context(connect(port))
            assert client.get("/products/").status_code == 200
        page = client.get("/products/")
        assert page.status_code == 503
        assert "Temporarily unavailable" in page.text
        stack.enter_context(servers.postgresql_server(data))
        assert client.get("/products/").status_code == 200
