"""What Django remembers of a project is the same in all, so that growing needs none."""

from itertools import product
from pathlib import Path

from tools.template import FAMILY_ROOT, render

SHAPES = [
    *product(("medium", "large"), ("layer", "feature"), ("sync", "async"), ("sqlite",)),
    ("large", "feature", "sync", "postgresql"),
]


def migrations(tree: Path) -> dict[str, bytes]:
    """Read a project's migrations, by their app and name."""
    return {
        f"{path.parent.parent.name}/{path.name}": path.read_bytes()
        for path in tree.rglob("migrations/0*.py")
    }


def test_migrations_have_the_same_bytes_in_every_project(tmp_path: Path) -> None:
    names = ("size", "layout", "concurrency", "database")
    found: dict[str, list[dict[str, bytes]]] = {"api": [], "site": []}
    for number, (purpose, shape) in enumerate(product(("api", "site"), SHAPES)):
        answers = dict(zip(names, shape, strict=True))
        tree = tmp_path / str(number)
        render({**answers, "framework": "django", "purpose": purpose}, tree)
        found[purpose].append(migrations(tree))
    site, api = found["site"][0], found["api"][0]
    assert set(site) == {"users/0001_initial.py", "products/0001_initial.py"}
    assert set(api) == {*site, "users/0002_login.py"}
    assert all(each == site for each in found["site"])
    assert all(each == api for each in found["api"])
    assert site.items() <= api.items()


def test_migrations_are_no_templates() -> None:
    sources = [
        path
        for path in (FAMILY_ROOT / "template").rglob("*000[12]_*")
        if path.is_file()
    ]
    assert sources
    assert all(path.suffix == ".py" for path in sources)
