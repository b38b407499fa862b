"""Services behind nginx, which terminates TLS: client, scheme, redirects, cookies.

nginx is the package of Debian. Not among the default tests: ``nox -s live``.
"""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme
from httpx2 import Client, HTTPTransport

from tools import live
from tools.live import Project, free_port, kill, wait_until
from tools.template import render

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
CONFIGURATION = """
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{secure} ssl;
    listen 127.0.0.1:{plain};
    ssl_certificate {directory}/chain.pem;
    ssl_certificate_key {directory}/key.pem;
    location / {{
      proxy_pass http://127.0.0.1:{port};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""
SHAPES = {
    "fastapi": {"framework": "fastapi", "concurrency": "async"},
    "flask": {"framework": "flask", "concurrency": "sync"},
    "django-sync": {"framework": "django", "concurrency": "sync"},
    "django-async": {"framework": "django", "concurrency": "async"},
    "site": {"purpose": "site"},
}
ATTEMPTS = 3


@contextmanager
def nginx(
    port: int, authority: trustme.CA, directory: Path
) -> Iterator[tuple[int, int]]:
    """Run nginx in front of a port, and yield its ports with and without TLS."""
    assert NGINX
    directory.mkdir()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(directory / "key.pem"))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(directory / "chain.pem"), append=True)
    secure, plain = free_port(), free_port()
    path = directory / "nginx.conf"
    path.write_text(
        CONFIGURATION.format(directory=directory, secure=secure, plain=plain, port=port)
    )
    process = subprocess.Popen([NGINX, "-c", path], start_new_session=True)

    def listens() -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", secure)) == 0

    try:
        wait_until(listens, "nginx")
        yield secure, plain
    finally:
        kill(process)


@pytest.fixture(params=SHAPES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """Return a project with the settings of production, for one proxy."""
    if NGINX is None:
        pytest.skip("no nginx here")
    answers = {**SHAPES[request.param], "size": "medium", "database": "sqlite"}
    tree = render(answers, tmp_path / "project")
    variables = {
        **live.PRODUCTION,
        **live.cheap_passwords(tree),
        "CLIENT_ATTEMPTS": str(ATTEMPTS),
        "LOGIN_ATTEMPTS": "100",
    }
    # uvicorn believes a proxy on this machine by itself.
    if request.param != "fastapi":
        variables["TRUSTED_PROXIES"] = "1"
    project = live.make(tree, logs=tmp_path / "logs", variables=variables)
    project.prepare()
    if (tree / "manage.py").is_file():
        project.run(("python", "manage.py", "collectstatic", "--no-input"))
    return project


def log_in(client: Client, path: str, forged: str) -> int:
    """Return the status of a login by a client that forges its address."""
    headers = {"X-Forwarded-For": forged, "Referer": str(client.base_url)}
    data = {"username": "nobody@example.com", "password": "a guess"}
    if token := client.cookies.get("csrftoken"):
        data["csrfmiddlewaretoken"] = token
    return client.post(path, data=data, headers=headers).status_code


def test_a_service_knows_its_clients_behind_a_proxy(
    project: Project, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    is_site = (project.tree / "app" / "templates" / "base.html").exists()
    is_django = (project.tree / "manage.py").is_file()
    path, refused = ("/account/log-in/", 200) if is_site else ("/users/token", 401)
    with (
        project.server("/health/live") as (_, port),
        nginx(port, authority, tmp_path / "nginx") as (secure, plain),
    ):

        def connect(address: str) -> Client:
            transport = HTTPTransport(verify=context, local_address=address)
            return Client(transport=transport, base_url=f"https://127.0.0.1:{secure}")

        with connect("127.0.0.2") as one, connect("127.0.0.3") as other:
            for client in (one, other):
                answer = client.get(path if is_site else "/health/live")
                assert answer.status_code == 200
                cookies = answer.headers.get_list("Set-Cookie")
                assert bool(cookies) == is_site
                assert all("Secure" in cookie for cookie in cookies)
            # A site has two processes, and each counts for itself.
            most = ATTEMPTS * (2 if is_site else 1)
            statuses = [log_in(one, path, f"198.51.100.{n}") for n in range(most + 1)]
            assert statuses[:ATTEMPTS] == [refused] * ATTEMPTS
            assert 429 in statuses
            assert log_in(other, path, "127.0.0.2") == refused

        with Client(base_url=f"http://127.0.0.1:{plain}") as client:
            answer = client.get("/products/" if is_site else "/products")
            assert answer.status_code == (301 if is_django else 200)
            if is_django:
                assert answer.headers["Location"].startswith("https://127.0.0.1")
            # Who says so is not the proxy.
            lie = {"X-Forwarded-Proto": "https"}
            answer = client.get("/products/" if is_site else "/products", headers=lie)
            assert answer.status_code == (301 if is_django else 200)
