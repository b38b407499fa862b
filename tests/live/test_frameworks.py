"""Stage 5: the web frameworks, seen by a client, are one.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import re
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Client, Response

from tools import live
from tools.combinations import find_combinations, select
from tools.template import FAMILY_ROOT, render

SHAPE = {
    "purpose": "api",
    "size": "medium",
    "concurrency": "sync",
    "layout": "layer",
    "database": "sqlite",
    "worker": "none",
}
FRAMEWORKS = sorted(
    {
        combination.answers["framework"]
        for combination in select(
            find_combinations(FAMILY_ROOT), [f"{k}={v}" for k, v in SHAPE.items()]
        )
    }
)
REFERENCE = "fastapi"


def problem(response: Response) -> dict[str, Any]:
    """Return a problem without the id of its request, which is its own each time."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body.pop("request_id") == response.headers["x-request-id"]
    return body


def log_in(client: Client, email: str) -> dict[str, str]:
    """Register a user, log in, and return the headers that say who asks."""
    account = {"email": email, "name": "Ada", "password": "correct horse"}
    assert client.post("/users", json=account).status_code == 201
    form = {"username": email, "password": account["password"]}
    token = client.post("/users/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def ask_for_problems(client: Client, database: Path) -> dict[str, dict[str, Any]]:
    """Make every mistake a client can make, and one the server makes."""
    owner, other = (log_in(client, f"{n}@example.com") for n in ("ada", "bob"))
    chair = {"name": "Chair", "price_cents": 4900}
    created = client.post("/products", json=chair, headers=owner).json()
    path = f"/products/{created['id']}"
    again = {"email": "ada@example.com", "name": "Ada", "password": "correct horse"}
    wrong = {"username": "ada@example.com", "password": "wrong horse"}
    answers = {
        "missing fields": client.post("/products", json={}, headers=owner),
        "wrong fields": client.post(
            "/products", json={"name": "", "price_cents": -1}, headers=owner
        ),
        "wrong types": client.post(
            "/products", json={"name": 7, "price_cents": "dear"}, headers=owner
        ),
        "wrong types in a change": client.patch(
            path, json={"name": 7, "price_cents": "dear"}, headers=owner
        ),
        "broken JSON": client.post(
            "/products",
            content='{"name": ',
            headers=owner | {"Content-Type": "application/json"},
        ),
        "wrong query": client.get("/products", params={"limit": "0"}),
        "wrong order": client.get("/products", params={"sort": "owner"}),
        "wrong password": client.post("/users/token", data=wrong),
        "no token": client.get("/users/me"),
        "bad token": client.get(
            "/users/me", headers={"Authorization": "Bearer broken"}
        ),
        "not the owner": client.patch(path, json={"name": "Mine"}, headers=other),
        "no such product": client.get("/products/999"),
        "no such path": client.get("/nowhere"),
        "wrong method": client.put("/products", headers=owner),
        "conflict": client.post("/users", json=again),
    }
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        (table,) = (n for (n,) in tables if re.fullmatch(r"(products_)?products?", n))
        connection.execute(f"ALTER TABLE {table} RENAME TO gone")
    answers["unexpected"] = client.get("/products")
    return {name: problem(answer) for name, answer in answers.items()}


@pytest.fixture(scope="module")
def problems(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the problems of each framework, by what was asked for."""
    found = {}
    for framework in FRAMEWORKS:
        scratch = tmp_path_factory.mktemp(framework)
        tree = render({**SHAPE, "framework": framework}, scratch / "project")
        project = live.make(
            tree,
            logs=scratch / "logs",
            variables={
                **live.PRODUCTION,
                "DATABASE_URL": f"sqlite:///{scratch / 'live.db'}",
            },
        )
        project.prepare()
        with ExitStack() as stack:
            _, port = stack.enter_context(project.server())
            url = f"http://127.0.0.1:{port}"
            client = stack.enter_context(
                Client(base_url=url, headers=live.HTTPS, timeout=30)
            )
            found[framework] = ask_for_problems(client, scratch / "live.db")
    return found


def without_words(body: dict[str, Any]) -> dict[str, Any]:
    """Return what programs read of a problem: REST framework has words of its own."""
    fields = sorted(error["field"] for error in body["errors"])
    return {**body, "errors": fields, "detail": None}


@pytest.mark.parametrize("framework", [f for f in FRAMEWORKS if f != REFERENCE])
def test_errors_are_the_same_json(
    framework: str, problems: dict[str, dict[str, dict[str, Any]]]
) -> None:
    for name, body in problems[REFERENCE].items():
        assert without_words(problems[framework][name]) == without_words(body), name
    if framework != "django":
        assert problems[framework] == problems[REFERENCE]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_unexpected_error_shows_no_detail(
    framework: str, problems: dict[str, dict[str, dict[str, Any]]]
) -> None:
    body = problems[framework]["unexpected"]
    assert body["status"] == 500
    assert body["code"] == "internal_error"
    assert "product" not in str(body).lower()
