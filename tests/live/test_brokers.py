"""Brokers as providers hand them out: with TLS, shared, silent, with odd addresses.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import shlex
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme
import yaml
from httpx2 import Client
from test_workers import connect, failed_jobs, is_welcomed, register

from tools import live, servers
from tools.crash import WORKERS
from tools.live import Project, stop, wait_until
from tools.template import render

MEDIUM = {"size": "medium", "layout": "layer", "database": "sqlite"}
FRAMEWORKS: Mapping[str, Mapping[str, str]] = {
    "fastapi": MEDIUM | {"framework": "fastapi", "concurrency": "async"},
    "tortoise": MEDIUM
    | {"framework": "fastapi", "concurrency": "async", "orm": "tortoise"},
    "flask": MEDIUM | {"framework": "flask", "concurrency": "sync"},
    "django": MEDIUM
    | {"framework": "django", "concurrency": "sync", "layout": "feature"},
}
SITE = MEDIUM | {"framework": "django", "purpose": "site", "concurrency": "sync"}
SMALL: Mapping[str, Mapping[str, str]] = {
    "fastapi": {"framework": "fastapi", "concurrency": "async"},
    "flask": {"framework": "flask", "concurrency": "sync"},
    "django": {"framework": "django", "concurrency": "async"},
    "none": {"framework": "none", "purpose": "worker", "concurrency": "sync"},
}
LISTENERS = MEDIUM | {"framework": "django", "concurrency": "async", "websocket": True}
PASSWORD = "p@ss/w%rd +"  # noqa: S105
ENCODED = "p%40ss%2Fw%25rd%20+"


# --- Brokers --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_certs(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "authority of the broker.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture
def tls_port(authority: trustme.CA) -> Iterator[int]:
    """Start a broker with TLS and a password, and return its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        servers.redis_server(None, None, "--requirepass", PASSWORD) as port,
        servers.tls_proxy(port, context) as secure,
    ):
        yield secure


class Deaf(BaseHTTPRequestHandler):
    """A server that is no broker."""

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def silence(broker: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let a broker accept connections, and say nothing."""
    broker.send_signal(signal.SIGSTOP)
    yield
    broker.send_signal(signal.SIGCONT)


# --- Projects -------------------------------------------------------------------------


def make(
    answers: Mapping[str, Any], directory: Path, url: str, **variables: str
) -> Project:
    tree = render(answers, directory / "project")
    defaults = {
        "BROKER_URL": url,
        "JOB_RETRIES": "0",
        "JOB_TIME_LIMIT_SECONDS": "5",
        **live.cheap_passwords(tree),
    }
    if answers["framework"] == "django":
        defaults = live.PRODUCTION | defaults
    return live.make(tree, logs=directory / "logs", variables=defaults | variables)


# Added to what does the work of a job: it fails as long as there is a file.
BROKEN = """

_{name} = {original}


def {name}(*arguments, **named):
    if __import__("pathlib").Path({mark!r}).exists():
        raise RuntimeError("broken")
    return _{name}(*arguments, **named)
"""


def break_welcome(project: Project) -> Path:
    """Let the jobs of a project fail while there is the file that is returned."""
    mark = project.tree / "broken"
    mark.touch()
    source = project.tree / "app" / "users" / "managers.py"
    name, original, last = "welcome", "UserManager.welcome", "{} = welcome\n"
    if not source.exists():
        source = project.tree / "app" / "services" / "users.py"
        name, original, last = "send_welcome", "send_welcome", ""
    text = BROKEN.format(name=name, original=original, mark=str(mark))
    with source.open("a", encoding="utf-8") as stream:
        stream.write(text + last.format(original))
    return mark


# --- TLS ------------------------------------------------------------------------------


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_all_processes_connect_with_tls(
    framework: str, worker: str, tls_port: int, ca_certs: Path, tmp_path: Path
) -> None:
    path = str(ca_certs).replace(" ", "%20")
    url = f"rediss://:{ENCODED}@127.0.0.1:{tls_port}/2"
    url += f"?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={path}"
    project = make({"worker": worker, **FRAMEWORKS[framework]}, tmp_path, url)
    project.prepare()
    mark = break_welcome(project)
    with ExitStack() as stack:
        _, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        process = stack.enter_context(project.worker())
        user = register(client, "ada")
        wait_until(lambda: len(failed_jobs(project)) == 1, "a failed job")
        mark.unlink()
        project.run((*project.commands.failed, *failed_jobs(project)))
        wait_until(lambda: is_welcomed(client, user), "a welcome")
        wait_until(lambda: is_alive(project), "a worker that says it is alive")
        if project.commands.schedule:
            assert_enqueues(project, stack)
        assert stop(process) == 0


def is_alive(project: Project) -> bool:
    """Return what the health check of the worker's container says."""
    compose = yaml.safe_load((project.tree / "compose.yaml").read_text("utf-8"))
    _, *words = compose["services"]["worker"]["healthcheck"]["test"]
    if len(words) == 1:
        words = shlex.split(words[0].replace("$$HOSTNAME", socket.gethostname()))
    return project.ended(words).returncode == 0


def assert_enqueues(project: Project, stack: ExitStack) -> None:
    """See that the schedule connects and goes on."""
    log = project.logs / "schedule.log"
    schedule = project.running(project.commands.schedule, log)
    process = stack.enter_context(schedule)
    time.sleep(3)
    assert process.poll() is None
    assert "Traceback" not in log.read_text("utf-8")


CHECK = ("python", "main.py", "check", "http://127.0.0.1:1")


@pytest.mark.parametrize("worker", WORKERS)
def test_a_single_file_project_connects_with_tls(
    worker: str, tls_port: int, ca_certs: Path, tmp_path: Path
) -> None:
    url = f"rediss://:{ENCODED}@127.0.0.1:{tls_port}"
    answers = {"size": "small", "worker": worker, **SMALL["none"]}
    environment = {"SSL_CERT_FILE": str(ca_certs)}
    project = make(answers, tmp_path, url, **environment)
    with project.worker() as process:
        job = project.run(CHECK).strip()
        result = project.run(("python", "main.py", "result", job, "--wait", "20"))
        assert '"status":"done"' in result.replace(" ", "")
        assert stop(process) == 0


@pytest.mark.parametrize("worker", WORKERS)
def test_certificates_are_verified(
    worker: str, tls_port: int, ca_certs: Path, tmp_path: Path
) -> None:
    unknown = f"rediss://:{ENCODED}@127.0.0.1:{tls_port}/0"
    other_name = f"rediss://:{ENCODED}@localhost:{tls_port}/0?ssl_ca_certs={ca_certs}"
    answers = {"size": "small", "worker": worker, **SMALL["none"]}
    project = make(answers, tmp_path, "")
    for url in (unknown, other_name):
        variables = dict(project.variables) | {"BROKER_URL": url}
        strict = replace(project, variables=variables)
        for command in (CHECK, strict.commands.failed):
            ended = strict.ended(command)
            assert ended.returncode != 0
            assert "does not answer" in ended.stderr
            assert "Traceback" not in ended.stderr
    for option in ("none", "CERT_NONE"):
        url = f"{unknown}?ssl_cert_reqs={option}"
        variables = dict(project.variables) | {"BROKER_URL": url}
        assert replace(project, variables=variables).ended(CHECK).returncode == 0


def test_events_pass_a_broker_with_tls(
    tls_port: int, ca_certs: Path, tmp_path: Path
) -> None:
    url = f"rediss://:{ENCODED}@127.0.0.1:{tls_port}/0?ssl_ca_certs={ca_certs}"
    project = make({"worker": "celery", **LISTENERS}, tmp_path, url)
    assert project.run(("python", "manage.py", "shell", "-v0", "-c", HEAR)) == "heard\n"


# A message through the channel layer.
HEAR = """
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

async def hear():
    layer = get_channel_layer()
    await layer.group_add("g", "c")
    await layer.group_send("g", {"type": "heard"})
    print((await layer.receive("c"))["type"])

async_to_sync(hear)()
"""

# The same, but nobody of this project hears it.
LEAVE = HEAR.replace('"heard"', '"of another project"').replace("print", "# ")

# --- Addresses ------------------------------------------------------------------------

UNUSABLE = (
    "http://127.0.0.1:6379/0",
    "127.0.0.1",
    "redis.example.com:6379",
    "unix:///run/redis.sock",
    "redis://127.0.0.1:6379/jobs",
    "redis://127.0.0.1:port/0",
    "redis://127.0.0.1:6379/0?ssl_cert_reqs=none",
    "rediss://127.0.0.1:6379/0?ssl_cert_reqs=perhaps",
    "rediss://127.0.0.1:6379/0?ssl_ca_certs=/nowhere.pem",
    "redis://127.0.0.1:6379/0?socket_timeout=never",
    "redis://:pass#word@127.0.0.1:6379/0",
)


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("framework", ["fastapi", "flask", "django", "none"])
def test_an_unusable_address_ends_every_process(
    framework: str, worker: str, tmp_path: Path
) -> None:
    answers = {"size": "small", "worker": worker, **SMALL[framework]}
    project = make(answers, tmp_path, "")
    commands = project.commands
    processes = [commands.server, commands.worker, commands.schedule, commands.failed]
    for words in filter(None, processes):
        assert_is_refused(project, words, UNUSABLE[0])
    for url in UNUSABLE:
        assert_is_refused(project, commands.failed, url)


def assert_is_refused(project: Project, words: Sequence[str], url: str) -> None:
    variables = dict(project.variables) | {"BROKER_URL": url}
    ended = replace(project, variables=variables).ended(words, seconds=60)
    output = ended.stdout + ended.stderr
    assert ended.returncode != 0, url
    assert "Invalid settings: BROKER_URL: " in output, url
    assert "Traceback" not in output
    assert "pass#word" not in output


# --- Several projects on one broker ---------------------------------------------------


@pytest.mark.parametrize("worker", WORKERS)
def test_projects_on_one_broker_never_meet(worker: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis_server())
        url = f"redis://127.0.0.1:{redis}/0"
        projects, clients, marks = {}, {}, {}
        for name, framework in (("shop", "fastapi"), ("stock", "flask")):
            answers = {"project_name": name, "worker": worker, **FRAMEWORKS[framework]}
            projects[name] = make(answers, tmp_path / name, url)
            projects[name].prepare()
            marks[name] = break_welcome(projects[name])
            _, port = stack.enter_context(projects[name].server())
            clients[name] = stack.enter_context(connect(port))
        marks["stock"].unlink()

        shop = register(clients["shop"], "ada")
        stack.enter_context(projects["stock"].worker())
        stock = register(clients["stock"], "ada")
        wait_until(lambda: is_welcomed(clients["stock"], stock), "a welcome")
        wait_until(lambda: is_alive(projects["stock"]), "a worker that is alive")
        assert not is_welcomed(clients["shop"], shop)
        assert not is_alive(projects["shop"])

        stack.enter_context(projects["shop"].worker())
        wait_until(lambda: len(failed_jobs(projects["shop"])) == 1, "a failed job")
        assert failed_jobs(projects["stock"]) == []
        marks["shop"].unlink()
        project = projects["shop"]
        project.run((*project.commands.failed, *failed_jobs(project)))
        wait_until(lambda: is_welcomed(clients["shop"], shop), "a welcome")
        if worker == "arq":
            # With one name, only one of two projects would run a scheduled job.
            names = {one.run(("python", "-c", SCHEDULED)) for one in projects.values()}
            assert len(names) == len(projects)


SCHEDULED = """
from app.worker import WorkerSettings

print(*(job.name for job in WorkerSettings.cron_jobs))
"""


def test_listeners_of_projects_on_one_broker_never_meet(tmp_path: Path) -> None:
    with servers.redis_server() as redis:
        url = f"redis://127.0.0.1:{redis}/0"
        for name, listens in (("shop", LEAVE), ("stock", HEAR)):
            answers = {"project_name": name, "worker": "rq", **LISTENERS}
            project = make(answers, tmp_path / name, url)
            said = project.run(("python", "manage.py", "shell", "-v0", "-c", listens))
        assert said == "heard\n"


# --- A broker that says nothing, or nonsense ------------------------------------------

# Seconds: a count of attempts and a job give up on it, one after the other.
LONGEST = 1.5


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_silent_broker_does_not_delay_a_registration(
    framework: str, worker: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        broker, redis = stack.enter_context(servers.redis_process())
        url = f"redis://127.0.0.1:{redis}/0"
        # Jobs that begin at once on SQLite may find it locked, and are retried.
        project = make(
            {"worker": worker, **FRAMEWORKS[framework]}, tmp_path, url, JOB_RETRIES="5"
        )
        project.prepare()
        _, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        users = [register(client, "before")]
        with silence(broker):
            # On the connection that there is, and on new ones.
            for number in range(4):
                start = time.monotonic()
                users.append(register(client, f"silent{number}"))
                assert time.monotonic() - start < LONGEST
        users.append(register(client, "after"))
        stack.enter_context(project.worker())
        wait_until(lambda: is_welcomed(client, users[0]), "a welcome")
        wait_until(lambda: is_welcomed(client, users[-1]), "a welcome")


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_error_of_a_broker_loses_a_registration(
    framework: str, worker: str, tls_port: int, tmp_path: Path
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Deaf) as deaf, ExitStack() as stack:
        Thread(target=deaf.serve_forever).start()
        stack.callback(deaf.shutdown)
        redis = stack.enter_context(
            servers.redis_server(None, None, "--requirepass", PASSWORD)
        )
        urls = (
            f"redis://127.0.0.1:{deaf.server_port}/0",
            f"redis://:wrong@127.0.0.1:{redis}/0",
            f"redis://127.0.0.1:{redis}/0",
            f"rediss://:{ENCODED}@127.0.0.1:{redis}/0",
            f"rediss://:{ENCODED}@127.0.0.1:{tls_port}/0",  # of an unknown authority
            f"redis://:{ENCODED}@127.0.0.1:{redis}/99",
            "redis://nowhere.invalid/0",
        )
        project = make({"worker": worker, **FRAMEWORKS[framework]}, tmp_path, urls[0])
        project.prepare()
        for number, url in enumerate(urls):
            variables = dict(project.variables) | {"BROKER_URL": url}
            with (
                replace(project, variables=variables).server() as (_, port),
                connect(port) as client,
            ):
                register(client, f"ada{number}")


def test_a_silent_broker_does_not_delay_a_product(tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker, redis = stack.enter_context(servers.redis_process())
        url = f"redis://127.0.0.1:{redis}/0"
        project = make({"worker": "rq", **LISTENERS}, tmp_path, url)
        project.prepare()
        _, port = stack.enter_context(project.server())
        client = stack.enter_context(connect(port))
        user = register(client, "ada")
        chair = {"name": "Chair", "price_cents": 4900}
        assert client.post("/products", json=chair, headers=user).status_code == 201
        stack.enter_context(silence(broker))
        for _ in range(2):
            start = time.monotonic()
            answer = client.post("/products", json=chair, headers=user)
            assert answer.status_code == 201
            assert time.monotonic() - start < LONGEST


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_a_silent_broker_is_reported_at_once(
    framework: str, worker: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        broker, redis = stack.enter_context(servers.redis_process())
        answers = {"size": "small", "worker": worker, **SMALL[framework]}
        project = make(answers, tmp_path, f"redis://127.0.0.1:{redis}/0")
        _, port = stack.enter_context(project.server("/health/live"))
        client = stack.enter_context(connect(port))
        started = client.post("/checks")
        assert started.status_code == 202
        stack.enter_context(silence(broker))
        for _ in range(2):
            for method, path in (
                ("POST", "/checks"),
                ("GET", started.headers["location"]),
            ):
                start = time.monotonic()
                assert client.request(method, path).status_code == 503
                assert time.monotonic() - start < LONGEST


@pytest.mark.parametrize("worker", WORKERS)
def test_a_silent_broker_does_not_delay_a_site(worker: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        broker, redis = stack.enter_context(servers.redis_process())
        url = f"redis://127.0.0.1:{redis}/0"
        # In production, cookies are only sent over TLS.
        development = {"ENVIRONMENT": "development"}
        project = make({"worker": worker, **SITE}, tmp_path, url, **development)
        project.prepare()
        _, port = stack.enter_context(project.server())
        address = f"http://127.0.0.1:{port}"
        client = stack.enter_context(Client(base_url=address, timeout=30))
        stack.enter_context(silence(broker))
        for number in range(2):
            assert client.get("/account/sign-up/").status_code == 200
            account = {
                "csrfmiddlewaretoken": client.cookies["csrftoken"],
                "email": f"ada{number}@example.com",
                "name": "Ada",
                "password1": "correct horse 1",
                "password2": "correct horse 1",
            }
            start = time.monotonic()
            answer = client.post("/account/sign-up/", data=account)
            assert answer.status_code == 302
            assert time.monotonic() - start < LONGEST


# --- Celery's own ways ----------------------------------------------------------------

NEW_TASK = """
from app.worker import app


@app.task(name="greet")
def greet() -> None:
    pass
"""
REGISTERED = """
from app.worker import app

app.loader.import_default_modules()
print(*app.tasks)
"""
SHARED = """
from concurrent.futures import ThreadPoolExecutor

from celery import shared_task


@shared_task
def greet():
    pass


for task in (greet, ThreadPoolExecutor().submit(lambda: greet).result()):
    print(task.app.conf.broker_url)
    task.delay()
"""


@pytest.mark.parametrize("layout", ["layer", "feature"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_celery_finds_new_modules_of_tasks(
    framework: str, layout: str, tmp_path: Path
) -> None:
    answers = {**FRAMEWORKS[framework], "worker": "celery", "layout": layout}
    project = make(answers, tmp_path, "redis://127.0.0.1:1/0")
    name = "tasks" if framework == "django" else "jobs"
    feature, layer = f"app/greetings/{name}.py", f"app/{name}/greetings.py"
    module = project.tree / (feature if layout == "feature" else layer)
    module.parent.mkdir(exist_ok=True)
    (module.parent / "__init__.py").touch()
    module.write_text(NEW_TASK, encoding="utf-8")
    if (framework, layout) == ("django", "feature"):
        settings = project.tree / "app" / "settings.py"
        text = settings.read_text("utf-8") + 'INSTALLED_APPS += ["app.greetings"]\n'
        settings.write_text(text, encoding="utf-8")
    tasks = project.run(("python", "-c", REGISTERED)).split()
    assert {"greet", "users.send_welcome"} <= set(tasks)


def test_tasks_of_other_packages_use_the_broker_too(tmp_path: Path) -> None:
    with servers.redis_server() as redis:
        url = f"redis://127.0.0.1:{redis}/0"
        answers = {**FRAMEWORKS["django"], "worker": "celery"}
        project = make(answers, tmp_path, url)
        shell = ("python", "manage.py", "shell", "-v0", "-c", SHARED)
        assert project.run(shell).split() == [url, url]
