"""What generated projects forbid is caught by their own checks."""

import subprocess
import sys
from pathlib import Path

import pytest

from python_patterns.render import render


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
        {"purpose": "script", "layout": "layer"},
        "app/services/checks.py",
        "from app.commands.checks import check",
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
