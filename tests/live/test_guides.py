"""The guides of projects, done as they are written; then the projects' own checks."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repositories import commit
from tools import guides, live
from tools.template import render

# In the place of uv: it runs programs of the environment that is on PATH.
UV = """#!/bin/sh
[ "$1" != run ] || { shift; exec "$@"; }
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


@contextmanager
def shell(
    answers: Mapping[str, Any], scratch: Path, **variables: str
) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """Make a project, and what runs command lines in it as they are written."""
    tree = render(answers, scratch / "project")
    commit(tree)
    project = live.make(tree, logs=scratch / "logs", variables=variables)
    programs = scratch / "programs"
    programs.mkdir()
    (programs / "uv").write_text(UV)
    (programs / "uv").chmod(0o755)
    places = (str(programs), str(project.environment / "bin"), os.environ["PATH"])
    environment = {**project.variables, "PATH": os.pathsep.join(places)}

    def run(command: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    for words in project.commands.prepare:
        run(shlex.join(words))
    yield tree, run


def guide(tree: Path, name: str) -> str:
    return (tree / "docs" / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize("name", [*WITH_PRODUCTS, *OTHERS])
def test_a_feature_is_added_as_written(tmp_path: Path, name: str) -> None:
    with shell({**WITH_PRODUCTS, **OTHERS}[name], tmp_path) as (tree, run):
        guides.follow(guide(tree, "add-a-feature"), guides.Tree(tree), run)


@pytest.mark.parametrize("name", WITH_PRODUCTS)
def test_the_example_is_taken_out_as_written(tmp_path: Path, name: str) -> None:
    with shell(WITH_PRODUCTS[name], tmp_path) as (tree, run):
        guides.follow(guide(tree, "remove-the-example"), guides.Tree(tree), run)

        left = [
            path.relative_to(tree).as_posix()
            for path in tree.rglob("*.py")
            if NAMES_OF_THE_EXAMPLE.search(path.read_text("utf-8"))
        ]
        assert [path for path in left if not path.startswith("migrations/")] == []
