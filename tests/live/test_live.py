"""Stage 5: the variants run as a user runs them, on real servers.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from httpx2 import Client, Response

from tools import live, servers
from tools.live import Project, kill, stop, wait_until
from tools.template import FAMILY_ROOT, render

# What has no server is run in other ways, below, and pages in a browser: test_site.py.
VARIANTS = sorted(
    path
    for path in (FAMILY_ROOT / "variants").glob("*.yml")
    if path.stem != "site"
    and yaml.safe_load(path.read_text("utf-8")).get("framework") != "none"
)
LARGE = yaml.safe_load((FAMILY_ROOT / "variants/api-large.yml").read_text())

# uvicorn closes everything, and then ends by the signal that it got.
STOPPED = (0, -signal.SIGTERM)

# For the project's environment: it has a driver, this one has not.
CREATE_DATABASE = """
import sys
import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute(f"CREATE DATABASE {sys.argv[2]}")
"""

_numbers = count()

type MakeProject = Callable[[Mapping[str, Any], Mapping[str, str]], Project]


# --- Servers and projects -------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    with servers.redis_server() as port:
        yield port


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with servers.postgresql_server() as url:
        yield url


class Site(BaseHTTPRequestHandler):
    """A site that is up."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="session")
def sites() -> Iterator[list[str]]:
    """Return two sites: one that is up, one that is not there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        Thread(target=server.serve_forever).start()
        yield [
            f"http://127.0.0.1:{server.server_port}/",
            f"http://127.0.0.1:{live.free_port()}/",
        ]
        server.shutdown()


@pytest.fixture
def make_project(
    tmp_path: Path, request: pytest.FixtureRequest, sites: list[str]
) -> MakeProject:
    """Return what renders a project and makes all that it needs, but starts nothing."""

    def make(answers: Mapping[str, Any], variables: Mapping[str, str]) -> Project:
        tree = render(answers, tmp_path / "project")
        wanted = {
            "SITES": json.dumps(sites),
            **live.cheap_passwords(tree),
            **variables,
        }
        if answers.get("framework") == "django":
            # In development Django shows its own pages for errors.
            wanted |= {**live.PRODUCTION, "DOCS_ENABLED": "true"}
        if answers["worker"] not in {"none", "background"}:
            port = request.getfixturevalue("redis_port")
            servers.empty_redis(port, 0)
            wanted["BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
        admin, database = "", f"live_{next(_numbers)}"
        if answers.get("database") == "postgresql":
            admin = request.getfixturevalue("postgresql_url")
            url = re.sub(r"/postgres(?=\?|$)", f"/{database}", admin)
            wanted["DATABASE_URL"] = url
        project = live.make(
            tree,
            logs=tmp_path / "logs",
            variables=wanted,
        )
        if admin:
            project.run(("python", "-c", CREATE_DATABASE, admin, database))
        project.prepare()
        return project

    return make


def connect(port: int) -> Client:
    return Client(base_url=f"http://127.0.0.1:{port}", headers=live.HTTPS, timeout=30)


def log_of(project: Project, program: str) -> str:
    return (project.logs / f"{program}.log").read_text("utf-8", errors="replace")


# --- What clients do ------------------------------------------------------------------


def register(client: Client) -> dict[str, str]:
    """Register a user and log in.

    Returns:
        The headers that say who asks.
    """
    email = f"user{next(_numbers)}@example.com"
    account = {"email": email, "name": "Ada", "password": "correct horse"}
    assert client.post("/users", json=account).status_code == 201
    credentials = {"username": email, "password": account["password"]}
    answer = client.post("/users/token", data=credentials)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def is_welcomed(client: Client, headers: Mapping[str, str]) -> bool:
    answer = client.get("/users/me", headers=headers)
    assert answer.status_code == 200
    return answer.json()["welcomed_at"] is not None


def assert_problem(response: Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["title"]


def use_users(client: Client) -> dict[str, str]:
    """Register, log in, and be refused in every way.

    Returns:
        The headers that say who asks.
    """
    headers = register(client)
    me = client.get("/users/me", headers=headers)
    assert me.status_code == 200

    account = {"email": me.json()["email"], "name": "Bob", "password": "wrong horse"}
    assert_problem(client.post("/users", json=account), 409)
    assert_problem(client.post("/users", json={**account, "email": "nobody"}), 422)
    wrong = {"username": account["email"], "password": account["password"]}
    assert_problem(client.post("/users/token", data=wrong), 401)
    assert_problem(client.get("/users/me"), 401)
    broken = {"Authorization": "Bearer broken"}
    assert_problem(client.get("/users/me", headers=broken), 401)
    return headers


def use_products(client: Client, owner: Mapping[str, str]) -> None:
    """Offer, list, change and withdraw a product, and be refused in every way."""
    chair = {"name": "Chair", "price_cents": 4900}
    assert_problem(client.post("/products", json=chair), 401)
    assert_problem(client.post("/products", json={"name": ""}, headers=owner), 422)
    created = client.post("/products", json=chair, headers=owner)
    assert created.status_code == 201
    path = f"/products/{created.json()['id']}"

    listed = client.get("/products").json()
    assert listed["total"] == 1
    assert listed["items"] == [created.json()]
    assert listed["items"][0]["owner"]["name"] == "Ada"
    assert client.get(path).json() == created.json()
    assert_problem(client.get("/products/999999"), 404)

    other = register(client)
    cheaper = {"price_cents": 100}
    assert_problem(client.patch(path, json=cheaper, headers=other), 403)
    assert_problem(client.delete(path, headers=other), 403)
    changed = client.patch(path, json=cheaper, headers=owner)
    assert (changed.status_code, changed.json()["price_cents"]) == (200, 100)
    assert client.delete(path, headers=owner).status_code == 204
    assert_problem(client.get(path), 404)


def leave_job(
    client: Client, path: str, body: object, check: Callable[[Any], None]
) -> Callable[[], bool]:
    """Ask for work that is done later.

    Returns:
        What says whether it is done; it checks the result.
    """
    accepted = client.post(path, json=body)
    assert accepted.status_code == 202
    location = accepted.headers["Location"]

    def is_done() -> bool:
        job = client.get(location)
        assert job.status_code == 200
        assert job.json()["status"] in {"queued", "done"}
        if job.json()["status"] == "queued":
            return False
        check(job.json()["result"])
        return True

    return is_done


def check_report(sites: list[str], report: Mapping[str, Any]) -> None:
    assert [site["url"] for site in report["sites"]] == sites
    assert [site["up"] for site in report["sites"]] == [True, False]


FLOWER = {
    "sepal_length": 5.1,
    "sepal_width": 3.5,
    "petal_length": 1.4,
    "petal_width": 0.2,
}


def check_species(number: int, predictions: list[Mapping[str, Any]]) -> None:
    assert [one["species"] for one in predictions] == ["setosa"] * number


def documented_paths(client: Client) -> dict[str, Any]:
    """Return what the document offers; a service without one checks sites on GET."""
    answer = client.get("/openapi.json")
    if answer.status_code == 404:
        return {"/checks": {"get": {}}}
    assert "swagger-ui" in client.get("/docs").text
    paths: dict[str, Any] = answer.json()["paths"]
    return paths


def use_features(
    client: Client, paths: Mapping[str, Any], sites: list[str]
) -> list[Callable[[], bool]]:
    """Use all that a service offers.

    Returns:
        For each job that this leaves behind, what says whether it is done.
    """
    jobs: list[Callable[[], bool]] = []
    if "/users" in paths:
        headers = use_users(client)
        use_products(client, headers)
        client.headers.update(headers)  # predictions need them too
        jobs.append(partial(is_welcomed, client, headers))
    if "post" in paths.get("/checks", {}):
        check = partial(check_report, sites)
        jobs.append(leave_job(client, "/checks", None, check))
    elif "/checks" in paths:
        check_report(sites, client.get("/checks").json())
    if "/predictions" in paths:
        check_species(1, client.post("/predictions", json=[FLOWER]).json())
        assert_problem(client.post("/predictions", json=[]), 422)
    if "/predictions/batches" in paths:
        check = partial(check_species, 100)
        batch = [FLOWER] * 100
        jobs.append(leave_job(client, "/predictions/batches", batch, check))
    return jobs


# --- The variants ---------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS, ids=[path.stem for path in VARIANTS])
def test_a_variant_serves_works_and_stops(
    variant: Path, make_project: MakeProject, sites: list[str]
) -> None:
    project = make_project(yaml.safe_load(variant.read_text("utf-8")), {})

    with ExitStack() as stack:
        server, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        for health in ("/health/live", "/health/ready"):
            assert client.get(health).json() == {"status": "ok"}
        paths = documented_paths(client)
        assert_problem(client.get("/nowhere"), 404)

        jobs = use_features(client, paths, sites)
        if project.commands.worker:
            # Without a worker nobody does them: no other process is in play.
            time.sleep(1)
            assert not any(is_done() for is_done in jobs)
            worker = stack.enter_context(project.worker())
            wait_until(lambda: all(is_done() for is_done in jobs), "the jobs")
            assert stop(worker) == 0
            assert "Traceback" not in log_of(project, "worker")
        wait_until(lambda: all(is_done() for is_done in jobs), "the jobs")

        # The client still holds its connection.
        assert stop(server) in STOPPED
        if project.commands.server[0] != "flask":  # Its server for development.
            ended = "stopped", "Finished server process", "Shutting down: Master"
            assert any(text in log_of(project, "server") for text in ended)
        assert "Traceback" not in log_of(project, "server")


# --- Scripts and workers --------------------------------------------------------------


def make_variant(
    name: str, make_project: MakeProject, variables: Mapping[str, str]
) -> Project:
    text = (FAMILY_ROOT / "variants" / f"{name}.yml").read_text("utf-8")
    return make_project(yaml.safe_load(text), variables)


def call(project: Project, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command of a project as its owner does, and wait for its end."""
    (main, *_) = [*project.tree.glob("*/main.py"), project.tree / "main.py"]
    package = "" if main.parent == project.tree else f"{main.parent.name}."
    program = ("python", "-m", f"{package}main")
    return project.ended((*program, *map(str, arguments)), seconds=60)


def test_a_script_checks_sites_and_says_so(
    make_project: MakeProject, sites: list[str]
) -> None:
    project = make_variant("script", make_project, {})
    report = project.tree / "report.json"

    done = call(project, "check", sites[0], "--output", report)
    assert done.returncode == 0
    assert done.stdout.startswith("up\t200\t")
    assert json.loads(report.read_text())["up"] == 1
    listed = project.tree / "sites.txt"
    listed.write_text("\n".join(sites), "utf-8")
    done = call(project, "check", "--file", listed)
    assert done.returncode == 1
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["up", "down"]
    done = call(project, "check", "nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert call(project, "--help").returncode == 0


def test_a_computing_script_finds_duplicates_in_processes(
    make_project: MakeProject, tmp_path: Path
) -> None:
    project = make_variant("script-cpu", make_project, {})
    directory = tmp_path / "files"
    directory.mkdir()
    for number in range(100):
        (directory / f"{number}.txt").write_text(f"content {number % 90:02}")

    done = call(project, "duplicates", directory, "--processes", "2")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 20
    assert call(project, "duplicates", tmp_path / "none").returncode == 2


def test_workers_do_what_a_command_leaves_though_one_is_killed(
    make_project: MakeProject, sites: list[str], redis_port: int
) -> None:
    project = make_variant(
        "worker",
        make_project,
        {"JOB_TIME_LIMIT_SECONDS": "2", "CLIENT_ATTEMPTS": "999"},
    )
    assert project.commands.worker
    # The one job takes long enough to be interrupted.
    probe = PROBE.format(package="app").replace("sleep(0.1)", "sleep(1)")
    assert "sleep(1)" in probe
    (project.tree / "probe.py").write_text(probe, encoding="utf-8")

    left = call(project, "check", *[sites[0]] * 100)
    assert left.returncode == 0
    job_id = left.stdout.strip()
    assert call(project, "result", job_id).returncode == 1

    with project.worker("--include", "probe") as worker:
        waiting = redis_number(redis_port, "LLEN my_service:celery")
        wait_until(
            lambda: redis_number(redis_port, "LLEN my_service:celery") < waiting,
            "the first job",
        )
        kill(worker)
    assert redis_number(redis_port, "HLEN my_service:unacked") > 0
    assert call(project, "result", job_id).returncode == 1

    with project.worker() as worker:
        done = call(project, "result", job_id, "--wait", "50")
        assert done.returncode == 0
        assert json.loads(done.stdout)["result"]["up"] == 100
        assert stop(worker) == 0


# --- Jobs that fail, and workers that are killed --------------------------------------

# Written beside a project's code: a job with the project's own policy, and a way to
# slow its jobs down.
PROBE = """
import os
import time

from celery.signals import task_prerun
from redis import Redis

from {package}.worker import app

attempts = Redis.from_url(os.environ["BROKER_URL"])


@app.task(name="probe.fail_twice")
def fail_twice():
    number = attempts.incr("probe-attempts")
    if number < 3:
        raise RuntimeError("not yet")
    return number


@task_prerun.connect
def slow_down(**_):
    time.sleep(0.1)
"""

ASK = """
from probe import attempts, fail_twice

result = fail_twice.delay()
print(result.get(timeout=30), result.state, int(attempts.get("probe-attempts")))
"""


@pytest.fixture(params=["async", "sync"])
def celery_project(
    request: pytest.FixtureRequest, make_project: MakeProject
) -> Project:
    """Return a large project with users and Celery, and the probe beside its code."""
    answers = {**LARGE, "concurrency": request.param}
    # The less time a job may take, the sooner those of a killed worker come again.
    project = make_project(answers, {"JOB_TIME_LIMIT_SECONDS": "2"})
    package = project.commands.worker[2].removesuffix(".worker")
    probe = PROBE.format(package=package)
    (project.tree / "probe.py").write_text(probe, encoding="utf-8")
    return project


def test_a_job_that_fails_twice_is_done_at_the_third_try(
    celery_project: Project,
) -> None:
    with celery_project.worker("--include", "probe") as worker:
        output = celery_project.run(("python", "-c", ASK))
        assert output.split() == ["3", "SUCCESS", "3"]
        assert stop(worker) == 0


def redis_number(port: int, command: str) -> int:
    """Send a command to Redis that answers with a number."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return int(connection.makefile().readline().removeprefix(":"))


def test_no_job_is_lost_with_a_killed_worker(
    celery_project: Project, redis_port: int
) -> None:
    with celery_project.server() as (_, port), connect(port) as client:
        users = [register(client) for _ in range(50)]
        assert redis_number(redis_port, "LLEN my_service:celery") == len(users)

        def welcomed() -> int:
            return sum(is_welcomed(client, headers) for headers in users)

        with celery_project.worker("--include", "probe") as worker:
            wait_until(lambda: welcomed() > 0, "the first welcome")
            kill(worker)
        # What it had begun is neither done nor waiting for another worker.
        assert 0 < welcomed() < len(users)
        assert redis_number(redis_port, "HLEN my_service:unacked") > 0
        assert redis_number(redis_port, "LLEN my_service:celery") > 0

        with celery_project.worker("--include", "probe") as worker:
            wait_until(lambda: welcomed() == len(users), "all welcomes", seconds=60)
            assert stop(worker) == 0
        assert redis_number(redis_port, "HLEN my_service:unacked") == 0
        assert redis_number(redis_port, "LLEN my_service:celery") == 0


# --- The contract ---------------------------------------------------------------------

# "format: email" allows more than any service takes: domains that cannot exist, or that
# are set aside. With addresses of one good domain, all that fits must be taken. And no
# document can list the passwords that everybody tries first, which Django refuses.
HOOKS = """
import schemathesis
from hypothesis import strategies

addresses = strategies.from_regex("[a-z0-9]{1,20}@example[.]com", fullmatch=True)
schemathesis.openapi.format("email", addresses)
# Like nothing else in the account, or Django would reject them.
passwords = strategies.from_regex("Correct_Horse_Battery_[!-/]{9}", fullmatch=True)
schemathesis.openapi.format("password", passwords)
"""


DOCUMENTED = {
    "purpose": "api",
    "size": "medium",
    "layout": "layer",
    "database": "sqlite",
    "worker": "none",
}


@pytest.mark.parametrize("who", ["anybody", "a user"])
@pytest.mark.parametrize(
    "choice",
    [
        {"framework": "fastapi", "concurrency": "async"},
        {"framework": "fastapi", "concurrency": "async", "orm": "tortoise"},
        {"framework": "flask", "concurrency": "sync"},
        {"framework": "django", "concurrency": "sync"},
        {"framework": "django", "concurrency": "async"},
    ],
    ids=lambda choice: "-".join(choice.values()),
)
def test_every_response_is_as_the_document_says(
    choice: Mapping[str, str],
    who: str,
    make_project: MakeProject,
    tmp_path: Path,
) -> None:
    project = make_project({**DOCUMENTED, **choice}, {})

    with project.server() as (_, port), connect(port) as client:
        headers = live.HTTPS | (register(client) if who == "a user" else {})
        options = [f"--header={name}: {value}" for name, value in headers.items()]
        (tmp_path / "hooks.py").write_text(HOOKS, encoding="utf-8")
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("run", f"http://127.0.0.1:{port}/openapi.json"),
                *("--checks", "all", "--max-examples", "25"),
                *("--generation-deterministic", "--continue-on-failure"),
                *options,
            ],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1", "SCHEMATHESIS_HOOKS": "hooks"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in log_of(project, "server")
