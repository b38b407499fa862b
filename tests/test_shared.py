"""What does not depend on the framework is one source for FastAPI and Flask."""

import ast
import re
from itertools import product
from pathlib import Path

import pytest

from python_patterns.render import FAMILY_ROOT, render

# Modules that know no framework, by the last word of their role.
NEUTRAL = ("service", "repository", "schemas", "models", "jobs", "model", "training")
CORE = {"errors", "settings", "security", "database", "engine", "pagination"}
ROLE = re.compile(r"\{\{ paths\.(\w+) \}\}")
SHAPES = [
    {"size": size, "layout": layout, "database": database, "worker": worker}
    for (size, layout), database, worker in product(
        (("medium", "layer"), ("large", "feature")),
        ("none", "sqlite", "postgresql"),
        ("none", "celery"),
    )
]


def is_neutral(role: str) -> bool:
    return role in CORE or role.rpartition("_")[2] in NEUTRAL


def test_no_neutral_module_lies_where_only_one_framework_finds_it() -> None:
    roles = {
        path: found[1]
        for path in (FAMILY_ROOT / "template").rglob("*.jinja")
        if (found := ROLE.match(path.name))
    }
    neutral = {path: role for path, role in roles.items() if is_neutral(role)}
    assert neutral
    for path in neutral:
        names = {part.strip("{} ") for part in path.parts}
        assert not names & {"when.fastapi", "when.flask"}, path


def neutral_modules(tree: Path) -> dict[str, bytes]:
    """Read the modules that know no framework."""
    layers = {"services", "repositories", "schemas", "models", "jobs"}
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*.py")
        if path.stat().st_size
        and "tests" not in path.parts
        and (path.parent.name in layers or path.stem in CORE or path.stem in NEUTRAL)
    }


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(shape.values()))
def test_fastapi_and_flask_have_the_same_modules(
    shape: dict[str, str], tmp_path: Path
) -> None:
    fastapi, flask = (
        neutral_modules(
            render(
                {**shape, "framework": framework, "concurrency": "sync"},
                tmp_path / framework,
            )
        )
        for framework in ("fastapi", "flask")
    )
    assert fastapi
    assert fastapi == flask


def body(test: Path) -> str:
    """Read a test without the one thing that differs: the type of its client."""
    text = "".join(ast.unparse(ast.parse(test.read_text())))
    text = re.sub(r"from .* import (Test)?Client\n", "", text)
    return text.replace("TestClient", "Client")


def test_bodies_of_tests_are_the_same(tmp_path: Path) -> None:
    shape = {"size": "medium", "database": "sqlite", "worker": "celery"}
    fastapi, flask = (
        render(
            {**shape, "framework": framework, "concurrency": "sync"},
            tmp_path / framework,
        )
        for framework in ("fastapi", "flask")
    )
    tests = sorted(
        path.relative_to(fastapi)
        for path in (fastapi / "tests").rglob("test_*.py")
        if path.stem != "test_worker"  # it starts the server, and each has its own
    )
    assert tests
    for test in tests:
        assert body(fastapi / test) == body(flask / test), test
