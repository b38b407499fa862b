"""Tier 5: a generated project's own tests notice a query per row.

Not among the default tests, for they take minutes: ``nox -s live``.
"""

import subprocess
from pathlib import Path

import pytest

from python_patterns import live, render

API = {
    "purpose": "api",
    "size": "medium",
    "concurrency": "sync",
    "layout": "layer",
    "database": "sqlite",
    "worker": "none",
}
EAGER = ".options(joinedload(Product.owner))"
SELECT = '.select_related("owner")'
# For each framework the answers, and what fetches owners together with their products.
FAULTS = {
    "fastapi": (API, "app/repositories/products.py", EAGER),
    "fastapi tortoise": (
        {**API, "concurrency": "async", "orm": "tortoise"},
        "app/repositories/products.py",
        SELECT,
    ),
    "flask": (API, "app/repositories/products.py", EAGER),
    "django": (API, "app/models/products/models.py", SELECT),
    "django site": (
        {**API, "purpose": "site", "layout": "feature"},
        "app/products/models.py",
        SELECT,
    ),
}


def count_queries(project: live.Project) -> subprocess.CompletedProcess[str]:
    """Run the project's tests of how many queries its pages take."""
    return subprocess.run(
        project.command(("python", "-m", "pytest", "-q", "-k", "queries")),
        cwd=project.tree,
        env=dict(project.variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_query_for_each_owner_is_noticed(name: str, tmp_path: Path) -> None:
    answers, path, eager = FAULTS[name]
    choice = {**answers, "framework": name.partition(" ")[0]}
    tree = render.render(choice, tmp_path / "project")
    project = live.make(tree, logs=tmp_path / "logs", variables={})
    assert count_queries(project).returncode == 0

    source = (tree / path).read_text("utf-8")
    assert eager in source
    (tree / path).write_text(source.replace(eager, ""), encoding="utf-8")
    done = count_queries(project)

    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert all("queries" in line for line in failed)
    assert len(failed) >= 3, done.stdout  # 1, 20 and 200 rows
