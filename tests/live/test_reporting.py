"""Unexpected errors reach Sentry once, the log once, and Flask's debugger."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from httpx2 import Client

from tools import live
from tools.template import render

# What a team adds: Sentry, here with a transport that writes events to a file.
WATCHED = """
import json
import os

import sentry_sdk
from sentry_sdk.transport import Transport


class Collect(Transport):
    def capture_envelope(self, envelope):
        if event := envelope.get_event():
            with open(os.environ["EVENTS"], "a") as file:
                print(json.dumps(event), file=file)


sentry_sdk.init("http://key@127.0.0.1:9/1", transport=Collect)

from {module} import create_app as create


def fail():
    raise RuntimeError("the database password is hunter2")


def create_app():
    app = create()
    app.{add}
    return app
"""
ADD = {
    "fastapi": 'add_api_route("/fail", fail)',
    "flask": 'add_url_rule("/fail", view_func=fail)',
}
SHAPES = [
    ("fastapi", "small", "async"),
    ("fastapi", "medium", "async"),
    ("fastapi", "large", "sync"),
    ("flask", "small", "sync"),
    ("flask", "medium", "sync"),
    ("flask", "large", "sync"),
]


def watched(framework: str, size: str, concurrency: str, scratch: Path) -> live.Project:
    """Make a project that declares Sentry, with a module that sets it up."""
    answers = {"framework": framework, "size": size, "concurrency": concurrency}
    tree = render(answers, scratch / "project")
    if size == "small":
        with (tree / "requirements.txt").open("a", encoding="utf-8") as file:
            file.write("sentry-sdk>=2\n")
    project_file = tree / "pyproject.toml"
    text = project_file.read_text("utf-8")
    if "dependencies" in tomllib.loads(text).get("project", {}):
        text = text.replace("dependencies = [", 'dependencies = ["sentry-sdk>=2",', 1)
        project_file.write_text(text, encoding="utf-8")
    variables = {"EVENTS": str(scratch / "events")}
    project = live.make(tree, logs=scratch / "logs", variables=variables)
    (name,) = {
        found[1]
        for word in project.commands.server
        if (found := re.fullmatch(r"([\w.]*main)(:create_app(\(\))?)?", word))
    }
    module = WATCHED.format(module=name, add=ADD[framework])
    (tree / "watched.py").write_text(module, encoding="utf-8")
    server = tuple(word.replace(name, "watched") for word in project.commands.server)
    return replace(project, commands=replace(project.commands, server=server))


@pytest.mark.parametrize(("framework", "size", "concurrency"), SHAPES)
def test_an_unexpected_error_is_one_event_and_one_traceback(
    framework: str, size: str, concurrency: str, tmp_path: Path
) -> None:
    project = watched(framework, size, concurrency, tmp_path)
    with project.server("/health/live") as (_, port):
        # uvicorn closes the connection of a request that failed.
        address, each = f"http://127.0.0.1:{port}", {"Connection": "close"}
        client = Client(base_url=address, headers=each)
        answer = client.get("/fail", headers={"X-Request-ID": "abc-1"})
        missing = client.get("/nowhere")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert missing.status_code == 404
    events = (tmp_path / "events").read_text("utf-8").splitlines()
    (event,) = map(json.loads, events)
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    log = (project.logs / "server.log").read_text("utf-8")
    assert log.count("Traceback (most recent call last)") == 1
    if size != "small":
        (line,) = (line for line in log.splitlines() if "status=500" in line)
        assert "request_id=abc-1" in line


@pytest.mark.parametrize("size", ["small", "medium"])
def test_flask_shows_its_debugger(size: str, tmp_path: Path) -> None:
    project = watched("flask", size, "sync", tmp_path)
    server = ("flask", "--app", "watched", "run", "--debug", "--no-reload")
    project = replace(project, commands=replace(project.commands, server=server))
    with project.server("/health/live") as (_, port):
        answer = Client(base_url=f"http://127.0.0.1:{port}").get("/fail")

    assert answer.status_code == 500
    assert "Werkzeug Debugger" in answer.text
