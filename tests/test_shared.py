"""What depends on neither framework nor mapper is one source for all of them."""

import re
from itertools import product
from pathlib import Path

import pytest

from tools.template import FAMILY_ROOT, render

# Modules that know no framework, by the last word of their role.
NEUTRAL = ("service", "repository", "schemas", "models", "jobs", "model", "training")
CORE = {"errors", "settings", "security", "database", "engine", "pagination"}
ROLE = re.compile(r"\{\{ paths\.(\w+) \}\}")
# How many requests may wait to hash a password depends on the threads of the server;
# uvicorn has a variable of its own for proxies.
OF_A_SERVER = re.compile(
    rb"^QUEUE = .*$|\n\n( +#.*\n)+ +trusted_proxies: .*$", re.MULTILINE
)
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
        path.relative_to(tree).as_posix(): OF_A_SERVER.sub(b"", path.read_bytes())
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


def test_bodies_of_tests_are_one_source_too() -> None:
    only_one = [
        path.name
        for path in (FAMILY_ROOT / "template").rglob("test_*.jinja")
        if {"{{ when.fastapi }}", "{{ when.flask }}"} & set(path.parts)
    ]
    # How Flask reads requests, and believes proxies, is the project's own; FastAPI and
    # uvicorn are tested elsewhere.
    assert sorted(only_one) == ["test_proxies.py.jinja", "test_requests.py.jinja"]


# What each mapper has of its own: tables, queries, connections, errors, tests of these.
OF_A_MAPPER = re.compile(
    r"""
    (^|/)
    ((database|engine|settings|main|make_admin|worker|conftest|factories|seed|test_migrations
      |test_database|test_settings|test_users_service|test_logins|models|repository|test_worker)\.py
    | (models|repositories)/\w+\.py
    | (users/jobs|jobs/users)\.py
    | migrations/.+
    | (README\.md|docs/[a-z-]+\.md|compose\.yaml|pyproject\.toml)
    | (\.env\.example|\.copier-answers\.yml))$
    """,
    re.VERBOSE,
)


def files(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("worker", ["none", "background", "celery", "arq"])
@pytest.mark.parametrize(
    ("size", "layout"), [("medium", "layer"), ("large", "feature")]
)
def test_another_mapper_changes_nothing_in_routes_and_services(
    size: str, layout: str, worker: str, database: str, tmp_path: Path
) -> None:
    shape = {"size": size, "layout": layout, "worker": worker, "database": database}
    sqlalchemy, tortoise = (
        files(render({**shape, "orm": orm}, tmp_path / orm))
        for orm in ("sqlalchemy", "tortoise")
    )
    differ = {
        name
        for name in sqlalchemy.keys() | tortoise.keys()
        if sqlalchemy.get(name) != tortoise.get(name)
    }
    assert [name for name in differ if not OF_A_MAPPER.search(name)] == []
