"""The documentation in a browser, behind a path prefix: ``nox -s browser``."""

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from tools import live
from tools.template import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

PREFIX = "/shop"
SHAPES = [
    {"framework": "fastapi", "concurrency": "async", "size": "small"},
    {"framework": "fastapi", "concurrency": "async", "size": "medium"},
    {"framework": "flask", "concurrency": "sync", "size": "medium"},
]


@contextmanager
def proxy(port: int) -> Iterator[str]:
    """Run a reverse proxy that removes the prefix, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix(PREFIX)
            if path == self.path:
                self.send_error(404)
                return
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as upstream:
                upstream.request("GET", path)
                answer = upstream.getresponse()
                body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "transfer-encoding"}:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(shape.values()))
def test_the_documentation_loads_behind_a_prefix_from_one_origin(
    shape: dict[str, str], new_page: "Callable[..., Page]", tmp_path: Path
) -> None:
    tree = render(shape, tmp_path / "project")
    project = live.make(tree, logs=tmp_path / "logs", variables={})
    if shape["framework"] == "fastapi":
        server = (*project.commands.server, "--root-path", PREFIX)
        project = replace(project, commands=replace(project.commands, server=server))
    page = new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    with project.server("/health/live") as (_, port), proxy(port) as base:
        page.goto(f"{base}/")  # leads to /docs
        page.locator(".opblock").first.wait_for()
        found = page.evaluate("fetch('openapi.json').then((answer) => answer.json())")

    assert all(address.startswith(f"{base}/") for address in addresses), addresses
    schemes = found["components"].get("securitySchemes", {})
    for scheme in schemes.values():
        if flow := scheme.get("flows", {}).get("password"):
            token = urljoin(f"{base}/openapi.json", flow["tokenUrl"])
            assert token == f"{base}/users/token"


def test_production_serves_no_documentation(tmp_path: Path) -> None:
    for shape in SHAPES[1:]:
        scratch = tmp_path / shape["framework"]
        tree = render(shape, scratch / "project")
        project = live.make(tree, logs=scratch / "logs", variables=live.PRODUCTION)
        with project.server("/health/live") as (_, port):
            for path in ("/", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json"):
                with closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
                    client.request("GET", path)
                    assert client.getresponse().status == 404
