"""The guides of projects, done as they are written; then the projects' own checks."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from repositories import commit
from tools import guides, live
from tools.matrix.checks import describe
from tools.template import render

# In the place of uv: it runs programs of the environment that is on PATH.
UV = """#!/bin/sh
[ "$1" != run ] || { shift; [ "$1" != --no-dev ] || shift; exec "$@"; }
"""
COMMAND = """#!/bin/sh
exec python -c "from {0} import {1}; {1}()" "$@"
"""
SQLITE = {"database": "sqlite", "size": "medium", "worker": "none"}
# Whose example goes, and nothing that mentions it stays.
WITH_PRODUCTS: Mapping[str, Mapping[str, Any]] = {
    "fastapi-layer": {**SQLITE, "layout": "layer"},
    "fastapi-feature": {**SQLITE, "layout": "feature"},
    "fastapi-tortoise": {**SQLITE, "orm": "tortoise"},
    "django-feature": {**SQLITE, "purpose": "admin", "layout": "feature"},
    "django-layer": {**SQLITE, "purpose": "admin", "layout": "layer", "size": "large"},
    "flask-layer": {**SQLITE, "framework": "flask", "async_team": False},
    "flask-feature": {
        **SQLITE,
        "framework": "flask",
        "async_team": False,
        "layout": "feature",
        "size": "large",
    },
    "site-feature": {**SQLITE, "purpose": "site"},
    "site-layer": {**SQLITE, "purpose": "site", "layout": "layer", "size": "large"},
}
WITHOUT_TABLES = {"database": "none", "size": "medium", "worker": "none"}
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "checks-fastapi": {**WITHOUT_TABLES, "layout": "feature"},
    "checks-flask": {**WITHOUT_TABLES, "framework": "flask", "async_team": False},
    "model": {**WITHOUT_TABLES, "purpose": "ml"},
    "script": {"purpose": "script", "size": "medium"},
    "script-cpu": {"purpose": "script", "size": "large", "workload": "cpu"},
    **{
        f"worker-{library}": {"purpose": "worker", "size": size, "worker": library}
        for library, size in (
            ("celery", "medium"),
            ("arq", "large"),
            ("rq", "medium"),
            ("dramatiq", "large"),
        )
    },
}
NAMES_OF_THE_EXAMPLE = re.compile(r"\b(Product[A-Z]?\w*|products_\w+|sample_data)\b")


class Shell:
    """Runs command lines in a project, as they are written."""

    def __init__(
        self, answers: Mapping[str, Any], scratch: Path, **variables: str
    ) -> None:
        """Make the project."""
        self.tree = render(answers, scratch / "project")
        commit(self.tree)
        project = live.make(self.tree, logs=scratch / "logs", variables=variables)
        programs = scratch / "programs"
        programs.mkdir()
        declared = tomllib.loads((self.tree / "pyproject.toml").read_text("utf-8"))
        # The environment is shared: the project is not installed in it.
        own = {
            name: COMMAND.format(*place.split(":"))
            for name, place in declared.get("project", {}).get("scripts", {}).items()
        }
        for name, text in {"uv": UV, **own}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        describe(self.tree, programs)
        places = (str(programs), str(project.environment / "bin"), os.environ["PATH"])
        modules = (str(programs), project.variables["PYTHONPATH"])
        self.variables = {
            **project.variables,
            "PATH": os.pathsep.join(places),
            "PYTHONPATH": os.pathsep.join(modules),
        }
        self.project = project

    def __call__(self, command: str) -> str:
        """Run a command line to its end, and return what it prints."""
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self.tree,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Do what the README says before the first start."""
        for words in self.project.commands.prepare:
            self(shlex.join(words))

    def follow(self, name: str) -> None:
        """Do what a guide says."""
        guides.follow(guide(self.tree, name), guides.Tree(self.tree), self)


def guide(tree: Path, name: str) -> str:
    return (tree / "docs" / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("name", [*WITH_PRODUCTS, *OTHERS])
def test_a_feature_is_added_as_written(tmp_path: Path, name: str) -> None:
    shell = Shell({**WITH_PRODUCTS, **OTHERS}[name], tmp_path)
    shell.start()
    shell.follow("add-a-feature")


@pytest.mark.parametrize("name", WITH_PRODUCTS)
def test_the_example_is_taken_out_as_written(tmp_path: Path, name: str) -> None:
    shell = Shell(WITH_PRODUCTS[name], tmp_path)
    shell.start()
    shell.follow("remove-the-example")

    left = [
        path.relative_to(shell.tree).as_posix()
        for path in shell.tree.rglob("*.py")
        if NAMES_OF_THE_EXAMPLE.search(path.read_text("utf-8"))
    ]
    assert [path for path in left if not path.startswith("migrations/")] == []


# --- Deploy ---------------------------------------------------------------------------

DEPLOYED = ("fastapi-layer", "fastapi-feature", "django-feature", "flask-layer", "site")
VALUES = {
    **live.PRODUCTION,
    "FORWARDED_ALLOW_IPS": "127.0.0.1",
    "SENTRY_DSN": "",
    "TRUSTED_PROXIES": "1",
    "WEB_CONCURRENCY": "1",
}


def settings_of(text: str, data: Path) -> dict[str, str]:
    """Read the settings that a guide says to give, with values that it describes."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", text, re.MULTILINE)
    found = dict(VALUES)
    for name, value in rows:
        if command := re.search(r"`python -c \"(.+)\"`", value):
            with redirect_stdout(io.StringIO()) as printed:
                exec(command[1])  # noqa: S102 - what our own guide says
            found[name] = printed.getvalue().strip()
        elif name == "DATABASE_URL":
            url = re.findall("`([^`]+)`", value)[0]
            found[name] = url.replace("sqlite:////data", f"sqlite:///{data}")
    assert set(found) >= {name for name, _ in rows}
    return {name: found[name] for name, _ in rows} | {"ENVIRONMENT": "production"}


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_project_is_deployed_as_written(tmp_path: Path, name: str) -> None:
    answers = WITH_PRODUCTS.get(name) or WITH_PRODUCTS["site-feature"]
    text = guide(render(answers, tmp_path / "read"), "deploy")
    (tmp_path / "data").mkdir()
    shell = Shell(answers, tmp_path, **settings_of(text, tmp_path / "data"))
    dockerfile = (shell.tree / "Dockerfile").read_text("utf-8").replace("\\\n", "")

    for command in re.findall("^RUN (uv run .+)$", dockerfile, re.MULTILINE):
        shell(command)
    section = text.partition("## 3. Migrate")[2]
    [migrate] = re.findall("^```console\n(.+)\n```$", section, re.MULTILINE)
    shell(migrate)
    [served] = re.findall(r"^CMD (\[.+\])$", dockerfile, re.MULTILINE)
    port = live.free_port()
    options = {"gunicorn": f"127.0.0.1:{port}", "uvicorn": f"127.0.0.1 --port {port}"}
    words: list[str] = json.loads(served)
    *words, _ = words  # where it listens in the container
    words += options[words[0]].split()
    with shell.project.running(words, tmp_path / "server.log") as process:
        live.wait_until(
            lambda: live.answers(port, "/health/ready", process), "a healthy answer"
        )
        # Having stopped, uvicorn sends itself the signal again.
        assert live.stop(process) in {0, -signal.SIGTERM}
