"""Stage 5: PostgreSQL as it is run: behind PgBouncer, with schemas, by replicas.

PgBouncer is the package of Debian, with its defaults. Not among the default tests, for
they take minutes: ``nox -s live``.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from httpx2 import Client
from test_database import connect, offer, register, seconds_until_stopped

from tools import live, servers
from tools.combinations import find_combinations, select
from tools.live import Project
from tools.template import FAMILY_ROOT, render

SHAPE = ("size=medium", "layout=layer", "database=postgresql", "worker=none")
SERVICES = {
    "-".join(
        [combination.answers["framework"], combination.answers["concurrency"]]
        + (["tortoise"] if combination.answers.get("orm") == "tortoise" else [])
    ): combination.answers
    for combination in select(find_combinations(FAMILY_ROOT), [*SHAPE, "purpose=api"])
    if combination.answers.get("websocket") != "yes"
}
REPLICAS = 3
EXECUTE = """
import sys
import time
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    for statement in sys.argv[2:]:
        found = connection.execute(statement)
        print(*(found.fetchall() if found.description else ()), sep="\\n")
"""
# Each statement of a migration takes a while, so that migrations overlap.
SLOW = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_sleep(0.3); END $$;
CREATE EVENT TRIGGER slow ON ddl_command_start EXECUTE FUNCTION slow();
"""


@pytest.fixture
def url() -> Iterator[str]:
    """Yield the URL of a new PostgreSQL."""
    with servers.postgresql_server() as url:
        yield url


@pytest.fixture(params=["session", "transaction"])
def pooled_url(request: pytest.FixtureRequest, url: str) -> Iterator[str]:
    """Yield the URL of a PgBouncer in front of it."""
    if servers.find_pgbouncer() is None:
        pytest.skip("no pgbouncer here")
    with servers.pooler(url, request.param) as pooled:
        yield pooled


def make(answers: Mapping[str, str], directory: Path, url: str) -> Project:
    """Render a project that uses this database."""
    tree = render(answers, directory / "project")
    variables = {
        **live.cheap_passwords(tree),
        "DATABASE_URL": url,
        "DATABASE_TIMEOUT_SECONDS": "3",
    }
    if answers["framework"] == "django":
        # In development Django shows its own pages for errors.
        variables |= live.PRODUCTION
    return live.make(tree, logs=directory / "logs", variables=variables)


def execute(project: Project, url: str, *statements: str) -> str:
    return project.run(("python", "-c", EXECUTE, url, *statements))


def use(client: Client) -> None:
    """Register a user, who offers a product."""
    answer = offer(client, register(client))
    assert answer.status_code == 201, answer.text
    assert client.get("/products").json()["total"] == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_works_behind_a_pooler(
    name: str, tmp_path: Path, url: str, pooled_url: str
) -> None:
    table = "products_product" if name.startswith("django") else "products"
    project = make(SERVICES[name], tmp_path, pooled_url)
    project.prepare()
    with ExitStack() as stack:
        _, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        use(client)
        # More clients than connections, each of which may get any of the server's.
        pool = stack.enter_context(ThreadPoolExecutor(20))
        answers = pool.map(client.get, ["/products"] * 200)
        assert {answer.status_code for answer in answers} == {200}
        # The timeout holds there as well.
        lock = (f"BEGIN; LOCK TABLE {table}", "SELECT pg_sleep(15)")
        locked = pool.submit(execute, project, url, *lock)
        assert seconds_until_stopped(client) < 13
        locked.result()
        assert client.get("/products").status_code == 200


@pytest.mark.parametrize("name", SERVICES)
def test_tables_are_made_in_the_schema_of_the_url(
    name: str, tmp_path: Path, url: str
) -> None:
    in_schema = f"{url}&options=-csearch_path%3Dshop&application_name=shop"
    project = make(SERVICES[name], tmp_path, in_schema)
    execute(project, url, "CREATE SCHEMA shop")
    project.prepare()
    tables = "SELECT schemaname FROM pg_tables WHERE tablename ~ 'products$|product$'"
    assert "shop" in execute(project, url, tables)
    assert "public" not in execute(project, url, tables)
    with ExitStack() as stack:
        _, port = stack.enter_context(project.server())
        use(stack.enter_context(connect(port)))


def migrate_at_once(project: Project) -> list[subprocess.CompletedProcess[str]]:
    (command,) = project.commands.prepare
    with ThreadPoolExecutor(REPLICAS) as pool:
        return list(pool.map(project.ended, [command] * REPLICAS))


@pytest.mark.parametrize("name", SERVICES)
def test_replicas_migrate_one_after_the_other(
    name: str, tmp_path: Path, url: str
) -> None:
    project = make(SERVICES[name], tmp_path, url)
    execute(project, url, SLOW)
    for replica in migrate_at_once(project):
        assert replica.returncode == 0, replica.stdout + replica.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_replicas_migrate_behind_a_pooler(
    name: str, tmp_path: Path, url: str, pooled_url: str
) -> None:
    project = make(SERVICES[name], tmp_path, pooled_url)
    execute(project, url, SLOW)
    for replica in migrate_at_once(project):
        assert replica.returncode == 0, replica.stdout + replica.stderr


def processes_of(url: str) -> list[int]:
    """Return the process IDs of a PostgreSQL, its own first."""
    data = Path(url.partition("?host=")[2])
    (server,) = (data / "postmaster.pid").read_text("utf-8").split(maxsplit=1)[:1]
    children = Path(f"/proc/{server}/task/{server}/children").read_text("utf-8")
    return list(map(int, [server, *children.split()]))


@pytest.mark.parametrize(
    "name", [name for name in SERVICES if not name.startswith("django")]
)
def test_a_server_that_stops_responding_is_an_outage(
    name: str, tmp_path: Path, url: str
) -> None:
    project = make(SERVICES[name], tmp_path, url)
    project.prepare()
    with ExitStack() as stack:
        _, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        assert client.get("/products").status_code == 200
        frozen = processes_of(url)
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
            stack.callback(os.kill, process, signal.SIGCONT)
        start = time.monotonic()
        answer = client.get("/products")
        assert answer.status_code == 503, answer.text
        assert time.monotonic() - start < 15
