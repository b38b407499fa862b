"""Stage 5: a generated project's own tests notice what is taken out of its data layer.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tools import live
from tools.template import render

API = {
    "purpose": "api",
    "size": "medium",
    "layout": "layer",
    "database": "sqlite",
    "worker": "none",
}
PROJECTS = {
    "fastapi": {**API, "framework": "fastapi", "concurrency": "async"},
    "tortoise": {
        **API,
        "framework": "fastapi",
        "concurrency": "async",
        "orm": "tortoise",
    },
    "flask": {**API, "framework": "flask", "concurrency": "sync"},
    "django": {**API, "framework": "django", "concurrency": "sync"},
    "site": {
        **API,
        "purpose": "site",
        "framework": "django",
        "concurrency": "sync",
        "layout": "feature",
    },
}


class Fault(NamedTuple):
    """What is taken out of a project, and who has to notice.

    Attributes:
        project: The project's name.
        path: The file.
        text: What is taken out.
        instead: What comes in its place.
        tests: Part of the names of the tests that are to fail.
        failures: How many of them, at least.
    """

    project: str
    path: str
    text: str
    instead: str
    tests: str
    failures: int = 1


WHOLE = "registration_is_atomic"
AGREE = "models_and_migrations_agree"
MATCH = "migrations_match_the_models"
MIGRATION = "0001_initial.py"
JOINED = ".options(OWNER)"
SELECTED = '.select_related("owner")'
INDEX = '    op.create_index("ix_products_name_id", "products", ["name", "id"])\n'
BY_NAME = 'models.Index(fields=["name", "id"], name="products_by_name"),'
ALEMBIC = "migrations/versions/0001_users_and_products.py"
PRODUCTS = "app/repositories/products.py"
DATABASE = "app/database.py"
UNIT = "with sessions.begin() as session:\n            yield session"
SESSION = "with sessions() as session:\n            yield session"
HALF = """with sessions() as session:
            try:
                yield session
            finally:
                {}session.commit()"""
# A query for each row is noticed in lists of 1 and 20 rows, and of 200 in Django.
FAULTS = {
    "fastapi: no eager load": Fault("fastapi", PRODUCTS, JOINED, "", "queries", 2),
    "fastapi: no commit": Fault("fastapi", DATABASE, UNIT, SESSION, WHOLE),
    "fastapi: no rollback": Fault(
        "fastapi", DATABASE, UNIT, HALF.format("await "), WHOLE
    ),
    "fastapi: no index": Fault("fastapi", ALEMBIC, INDEX, "", AGREE),
    "tortoise: no eager load": Fault(
        "tortoise", PRODUCTS, ".only(*SHOWN)", "", "queries", 2
    ),
    "tortoise: no commit": Fault(
        "tortoise",
        DATABASE,
        SESSION,
        f"{SESSION}\n            await session.rollback()",
        WHOLE,
    ),
    "tortoise: no rollback": Fault(
        "tortoise", DATABASE, SESSION, HALF.format("await "), WHOLE
    ),
    "tortoise: no index": Fault(
        "tortoise",
        "migrations/0001_users_and_products.py",
        'Index(fields=["name", "id"], name="ix_products_name_id"),',
        "",
        AGREE,
    ),
    "flask: no eager load": Fault("flask", PRODUCTS, JOINED, "", "queries", 2),
    "flask: no commit": Fault("flask", DATABASE, UNIT, SESSION, WHOLE),
    "flask: no rollback": Fault("flask", DATABASE, UNIT, HALF.format(""), WHOLE),
    "flask: no index": Fault("flask", ALEMBIC, INDEX, "", AGREE),
    "django: no eager load": Fault(
        "django", "app/models/products/models.py", SELECTED, "", "queries", 3
    ),
    "django: no transaction": Fault(
        "django",
        "app/services/users.py",
        "with transaction.atomic():",
        "if transaction:",
        WHOLE,
    ),
    "django: not after the commit": Fault(
        "django",
        "app/services/users.py",
        "transaction.on_commit(welcome, robust=True)",
        "welcome()",
        "welcomed_once_on_commit",
    ),
    "django: no index": Fault(
        "django",
        f"app/models/products/migrations/{MIGRATION}",
        BY_NAME,
        "",
        MATCH,
    ),
    "site: no eager load": Fault(
        "site", "app/products/models.py", SELECTED, "", "queries", 3
    ),
    "site: no index": Fault(
        "site", f"app/products/migrations/{MIGRATION}", BY_NAME, "", MATCH
    ),
}


def run_tests(project: live.Project, names: str) -> subprocess.CompletedProcess[str]:
    """Run those of the project's own tests whose names have this in them."""
    words = ("python", "-m", "pytest", "-q", "-k", names)
    return project.ended(words, seconds=180)


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_taken_out_is_noticed(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    tree = render(PROJECTS[fault.project], tmp_path / "project")
    project = live.make(tree, logs=tmp_path / "logs", variables={})
    assert run_tests(project, fault.tests).returncode == 0

    path = tree / fault.path
    source = path.read_text("utf-8")
    assert fault.text in source
    path.write_text(source.replace(fault.text, fault.instead), encoding="utf-8")
    done = run_tests(project, fault.tests)

    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) >= fault.failures, done.stdout
