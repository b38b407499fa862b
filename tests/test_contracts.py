"""What generated projects forbid is caught by their own checks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.template import render


def lint_imports(project: Path, *, src: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=project,
        env={"PYTHONPATH": str(project / "src" if src else project)},
        capture_output=True,
        text=True,
        check=False,
    )


VIOLATIONS = {
    "a route imports a repository": (
        {"layout": "layer"},
        "app/routes/products.py",
        "from app.repositories.products import ProductRepository",
    ),
    "a route queries": (
        {"layout": "layer"},
        "app/routes/products.py",
        "from sqlalchemy import select",
    ),
    "a route queries by Tortoise": (
        {"layout": "layer", "orm": "tortoise"},
        "app/routes/products.py",
        "from tortoise.functions import Count",
    ),
    "a Flask route imports a repository": (
        {"framework": "flask", "layout": "layer"},
        "app/routes/products.py",
        "from app.repositories.products import ProductRepository",
    ),
    "a feature's Flask route queries": (
        {"framework": "flask", "layout": "feature"},
        "app/products/routes.py",
        "from sqlalchemy import select",
    ),
    "a feature's route queries": (
        {"layout": "feature", "size": "large"},
        "src/my_service/products/routes.py",
        "from sqlalchemy import select",
    ),
    "a route calls other services": (
        {"database": "none", "layout": "layer"},
        "app/routes/checks.py",
        "from httpx2 import AsyncClient",
    ),
    "a feature's Flask route calls other services": (
        {"framework": "flask", "database": "none", "layout": "feature"},
        "app/checks/routes.py",
        "from httpx2 import Client",
    ),
    "a route asks the model itself": (
        {"purpose": "ml", "layout": "feature", "size": "large"},
        "src/my_service/predictions/routes.py",
        "from joblib import load",
    ),
    "a service imports a route": (
        {"layout": "layer"},
        "app/services/products.py",
        "from app.routes.products import router",
    ),
    "a repository imports a service": (
        {"layout": "layer", "size": "large"},
        "src/my_service/repositories/products.py",
        "from my_service.services.products import ProductService",
    ),
    "a large route imports a repository": (
        {"layout": "layer", "size": "large"},
        "src/my_service/api/products.py",
        "from my_service.repositories.users import UserRepository",
    ),
    "a feature's route imports its repository": (
        {"layout": "feature"},
        "app/products/routes.py",
        "from app.products.repository import ProductRepository",
    ),
    "a feature's route imports another's repository": (
        {"layout": "feature", "size": "large"},
        "src/my_service/products/routes.py",
        "from my_service.users.repository import UserRepository",
    ),
    "a feature's model imports its service": (
        {"layout": "feature", "size": "large"},
        "src/my_service/users/models.py",
        "from my_service.users.service import UserService",
    ),
    "a job imports a route": (
        {"layout": "layer", "worker": "celery"},
        "app/jobs/users.py",
        "from app.routes.users import router",
    ),
    "a service of checks imports a route": (
        {"database": "none", "layout": "feature"},
        "app/checks/service.py",
        "from app.checks.routes import router",
    ),
    "a model's service imports a route": (
        {"purpose": "ml"},
        "app/services/predictions.py",
        "from app.routes.predictions import router",
    ),
    "a Django service imports a route": (
        {"framework": "django", "layout": "layer"},
        "app/services/users.py",
        "from app.routes.users import MeView",
    ),
    "a Django model imports its service": (
        {"framework": "django", "layout": "feature", "size": "large"},
        "src/my_service/users/models.py",
        "from my_service.users.services import register",
    ),
    "a Django job imports a view": (
        {"framework": "django", "layout": "feature", "worker": "celery"},
        "app/users/tasks.py",
        "from app.users.views import MeView",
    ),
    "an async Django service imports its view": (
        {"framework": "django", "concurrency": "async", "layout": "feature"},
        "app/checks/services.py",
        "from app.checks.views import check",
    ),
    "a Django signal imports its consumer": (
        {
            "framework": "django",
            "concurrency": "async",
            "layout": "feature",
            "websocket": "yes",
        },
        "app/products/signals.py",
        "from app.products.consumers import ProductEvents",
    ),
    "a Django report imports a route": (
        {"framework": "django", "concurrency": "async", "layout": "layer"},
        "app/services/reports.py",
        "from app.routes.checks import check",
    ),
    "a site's model imports its form": (
        {"purpose": "site", "layout": "feature"},
        "app/products/models.py",
        "from app.products.forms import ProductForm",
    ),
    "a site's form imports a view": (
        {"purpose": "site", "layout": "layer", "size": "large"},
        "src/my_service/forms/products.py",
        "from my_service.views.products import ProductCreate",
    ),
    "a script's service imports its command": (
        {"purpose": "script", "size": "medium", "layout": "layer"},
        "my_service/services/checks.py",
        "from my_service.commands.checks import check",
    ),
    "a worker's job imports a command": (
        {"purpose": "worker", "layout": "feature", "size": "large"},
        "src/my_service/checks/jobs.py",
        "from my_service.checks.command import check",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_an_import_against_the_layers_is_caught(tmp_path: Path, violation: str) -> None:
    answers, module, line = VIOLATIONS[violation]
    project = render(answers, tmp_path / "project")
    src = answers.get("size") == "large"
    assert lint_imports(project, src=src).returncode == 0

    path = project / module
    path.write_text(f"{path.read_text('utf-8')}\n{line}\n", "utf-8")

    result = lint_imports(project, src=src)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_a_new_feature_is_under_the_contracts_too(tmp_path: Path) -> None:
    project = render({"layout": "feature"}, tmp_path / "project")
    feature = project / "app" / "orders"
    feature.mkdir()
    (feature / "__init__.py").touch()
    (feature / "repository.py").write_text("ORDERS = 0\n", "utf-8")
    (feature / "routes.py").write_text(
        "from app.orders.repository import ORDERS\n", "utf-8"
    )

    assert lint_imports(project, src=False).returncode == 1


ASYNC = """
import time

import {0}


async def wait() -> None:
    '''Wait.'''
    time.sleep(1)
    {0}.get("https://example.com")
"""
FASTAPI = {"layout": "layer"}
FASTAPI_SYNC = {"concurrency": "sync", "layout": "layer"}
DJANGO_ASYNC = {"framework": "django", "concurrency": "async", "layout": "layer"}
DJANGO = {"framework": "django", "concurrency": "sync", "layout": "feature"}
SITE = {"purpose": "site", "concurrency": "sync", "layout": "layer"}
FLASK = {"framework": "flask", "layout": "layer"}
SCRIPT = {
    "purpose": "script",
    "size": "medium",
    "concurrency": "async",
    "layout": "layer",
}
SERVICE = "app/services/users.py"
UNTYPED = """
def double(number):
    '''Double.'''
    return 2 * number
"""
# What is planted: answers, where, the code, and the rules of ruff that catch it.
PLANTED = {
    "Django in an API of FastAPI": (FASTAPI, SERVICE, "import django", {"TID251"}),
    "Django in an API of Flask": (FLASK, SERVICE, "import django", {"TID251"}),
    "Flask in an API of Django": (DJANGO_ASYNC, SERVICE, "import flask", {"TID251"}),
    "FastAPI in a site": (SITE, "app/urls.py", "import fastapi", {"TID251"}),
    "Django in a script": (
        SCRIPT,
        "my_service/services/checks.py",
        "import django",
        {"TID251"},
    ),
    "a blocking client in FastAPI": (
        FASTAPI,
        SERVICE,
        ASYNC.format("requests"),
        {"ASYNC210", "ASYNC251", "TID251"},
    ),
    "a blocking client in Django": (
        DJANGO_ASYNC,
        "app/services/checks.py",
        ASYNC.format("requests"),
        {"ASYNC210", "ASYNC251", "TID251"},
    ),
    "a blocking client in a script": (
        SCRIPT,
        "my_service/services/checks.py",
        ASYNC.format("requests"),
        {"ASYNC210", "ASYNC251", "TID251"},
    ),
    "a blocking client in one file of FastAPI": (
        {"size": "small"},
        "utils.py",
        "from httpx2 import Client",
        {"TID251"},
    ),
    "a sync driver in FastAPI": (FASTAPI, SERVICE, "import psycopg2", {"TID251"}),
    "a sync session in FastAPI": (
        FASTAPI,
        "app/repositories/users.py",
        "from sqlalchemy.orm import Session",
        {"TID251"},
    ),
    "a driver beside Django's ORM": (
        DJANGO_ASYNC,
        "app/services/checks.py",
        "from sqlite3 import connect",
        {"TID251"},
    ),
    "an async driver in sync FastAPI": (
        FASTAPI_SYNC,
        SERVICE,
        "import asyncpg",
        {"TID251"},
    ),
    "an event loop in Flask": (FLASK, SERVICE, "import asyncio", {"TID251"}),
    "an event loop in sync Django": (
        DJANGO,
        "app/users/services.py",
        "import asyncio",
        {"TID251"},
    ),
    "an event loop in a sync script": (
        {**SCRIPT, "concurrency": "sync"},
        "my_service/services/checks.py",
        "import asyncio",
        {"TID251"},
    ),
    "a task that nobody keeps": (
        FASTAPI,
        SERVICE,
        """
import asyncio


async def forget() -> None:
    '''Forget.'''
    asyncio.create_task(asyncio.sleep(1))
""",
        {"RUF006"},
    ),
    "an untyped function in FastAPI": (FASTAPI, SERVICE, UNTYPED, {"ANN001", "ANN201"}),
    "an untyped function in Flask": (FLASK, SERVICE, UNTYPED, {"ANN001", "ANN201"}),
    "an untyped function in Django": (
        DJANGO,
        "app/users/services.py",
        UNTYPED,
        {"ANN001", "ANN201"},
    ),
    "an untyped function in a script": (
        SCRIPT,
        "my_service/services/checks.py",
        UNTYPED,
        {"ANN001", "ANN201"},
    ),
    "a query built in a view": (
        DJANGO,
        "app/products/views.py",
        "from django.db.models import Q",
        {"TID253"},
    ),
    "a query built in a view of a layer": (
        DJANGO_ASYNC,
        "app/routes/products.py",
        "from django.db.models import Count, F",
        {"TID253"},
    ),
    "a transaction in a view of a large API": (
        {**DJANGO_ASYNC, "size": "large"},
        "src/my_service/api/users.py",
        "from django.db import transaction",
        {"TID253"},
    ),
    "a query built in a page's view": (
        SITE,
        "app/views/products.py",
        "from django.db.models import Q",
        {"TID253"},
    ),
}


RUFF = Path(sys.executable).parent / "ruff"


def ruff(project: Path) -> set[str]:
    """Check a project as it checks itself, and return the rules that it breaks."""
    done = subprocess.run(
        [RUFF, "check", "--no-cache", "--output-format=json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return {finding["code"] for finding in json.loads(done.stdout)}


@pytest.mark.parametrize("name", PLANTED)
def test_what_the_record_forbids_is_caught(tmp_path: Path, name: str) -> None:
    answers, module, code, rules = PLANTED[name]
    project = render(answers, tmp_path / "project")
    assert not ruff(project)

    path = project / module
    path.write_text(f"{path.read_text('utf-8')}\n{code}\n", "utf-8")

    assert rules <= ruff(project)


def test_managers_may_build_queries(tmp_path: Path) -> None:
    project = render(DJANGO, tmp_path / "project")
    models = (project / "app/products/models.py").read_text("utf-8")

    assert "TID253" not in ruff(project)
    assert "from django.db.models import" in models or "models.Q" in models
