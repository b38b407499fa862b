"""Of files that are alike ruff reads one, and nothing is lost by that."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tools.matrix.lint import kinds_of, read, ruff_errors

SETTINGS = """\
[project]
requires-python = ">=3.12"

[tool.ruff.lint]
select = ["F", "I", "INP", "EXE", "UP"]
"""
OLD_SETTINGS = SETTINGS.replace("3.12", "3.9")
# Sorted where both are libraries.
IMPORTS = "import alpha\nimport zebra\n\nprint(alpha, zebra)\n"
OPTIONAL = "from typing import Optional\n\nX: Optional[int] = None\n"
ELSEWHERE = '[tool.ruff]\nsrc = ["lib"]\n'
COMMAND = "#!/usr/bin/env python\n"
QUOTED = "X = 'one'\n"
SINGLE = '[format]\nquote-style = "single"\n'

type Files = Mapping[str, str]


def write(tree: Path, files: Files) -> Path:
    for name, text in {"pyproject.toml": SETTINGS, **files}.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tree


def errors_of(root: Path, *projects: Files) -> list[list[str]]:
    trees = [
        write(root / f"project-{number}", files)
        for number, files in enumerate(projects)
    ]
    return list(checked(trees, root).values())


def checked(trees: Sequence[Path], root: Path) -> dict[Path, list[str]]:
    kinds = {tree: kinds_of(read(tree)) for tree in trees}
    return ruff_errors(kinds, root, root.with_suffix(".log"))


# What another project has that has the same file beside an ``__init__``.
DIFFERENT: dict[str, tuple[str, str, Files]] = {
    "a module that it imports": ("shop/b.py", IMPORTS, {"alpha.py": ""}),
    "a package that it imports": ("shop/b.py", IMPORTS, {"src/alpha/c.py": ""}),
    "no package around it": ("shop/users/b.py", "", {"shop/users/__init__.py": ""}),
    "settings": (
        "shop/b.py",
        "import json\n",
        {"pyproject.toml": f'{SETTINGS}ignore = ["F401"]\n'},
    ),
    "settings of a directory": ("shop/b.py", QUOTED, {"shop/ruff.toml": SINGLE}),
    "an older Python": ("shop/b.py", OPTIONAL, {"pyproject.toml": OLD_SETTINGS}),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_decides_beside_the_file_is_seen(tmp_path: Path, name: str) -> None:
    file, text, more = DIFFERENT[name]
    first = {"shop/__init__.py": "", file: text}
    second = {**first, **more}

    together = errors_of(tmp_path / "together", first, second)

    alone = [
        *errors_of(tmp_path / "first", first),
        *errors_of(tmp_path / "second", second),
    ]
    assert together == alone
    assert [each for each in alone[0] if file in each] != [
        each for each in alone[1] if file in each
    ]


def test_modules_may_be_elsewhere(tmp_path: Path) -> None:
    settings = SETTINGS.replace("[tool.ruff.lint]", f"{ELSEWHERE}\n[tool.ruff.lint]")
    first = {"pyproject.toml": settings, "shop/__init__.py": "", "shop/b.py": IMPORTS}

    found = errors_of(tmp_path / "all", first, {**first, "lib/alpha/c.pyi": ""})

    assert not [error for error in found[0] if error.startswith("shop/")]
    assert [error for error in found[1] if error.startswith("shop/b.py:1: I001")]


def test_permissions_are_seen(tmp_path: Path) -> None:
    first, second = (
        write(tmp_path / name, {"shop/__init__.py": "", "shop/b.py": COMMAND})
        for name in ("first", "second")
    )
    (second / "shop/b.py").chmod(0o755)

    found = checked([first, second], tmp_path)

    assert found[second] == []
    assert [error[:19] for error in found[first]] == ["shop/b.py:1: EXE001"]


def test_a_mistake_is_one_of_every_project_that_has_it(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "", "shop/b.py": "import json\nX = 'one'\n"}

    found = errors_of(tmp_path / "all", files, files, files)

    assert found == [found[0]] * 3
    assert [error.partition(":")[2][:7] for error in found[0]] == [
        *("1: I001", "1: F401"),
        " not fo",
    ]


def test_what_does_not_parse_is_read_in_every_project(tmp_path: Path) -> None:
    broken = {"shop/__init__.py": "", "shop/b.py": "def broken(\n"}

    found = errors_of(tmp_path / "all", broken, broken)

    assert found[0] == found[1]
    assert found[0]
    assert all(error.startswith("shop/b.py:") for error in found[0])


def test_what_ruff_passes_over_is_a_finding(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "", "shop/venv/b.py": "import json\n"}

    found = errors_of(tmp_path / "all", files, {"shop/__init__.py": ""})

    assert found == [["shop/venv/b.py: ruff passed over this file"], []]
