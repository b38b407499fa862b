"""Merging lines that stand side by side: what is merged, and what is left to people."""

import pytest

from python_patterns.grow.close import merged_definition, merged_list, merged_toml

BASE = """\
class Settings:
    limit: int = 10
    seconds: int = 5
"""
FACTORY = """\
def create() -> App:
    app = App()
    app.add(first)
    if app.debug:
        app.add(docs)
    return app
"""


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        pytest.param(
            BASE,
            f"{BASE}    mine: int = 1\n",
            BASE.replace("seconds: int = 5", "hosts: str = 'a'"),
            "class Settings:\n    limit: int = 10\n    hosts: str = 'a'\n"
            "    mine: int = 1\n",
            id="a field below one that is another now",
        ),
        pytest.param(
            BASE,
            BASE.replace("10", "20"),
            BASE.replace("5", "6"),
            BASE.replace("10", "20").replace("5", "6"),
            id="two fields",
        ),
        pytest.param(
            FACTORY,
            FACTORY.replace("(first)\n", "(first)\n    app.add(mine)\n"),
            FACTORY.replace("(first)\n", "(users)\n    app.add(orders)\n"),
            FACTORY.replace(
                "(first)\n", "(users)\n    app.add(orders)\n    app.add(mine)\n"
            ),
            id="a call below one that is others now",
        ),
        pytest.param(
            FACTORY,
            FACTORY.replace("(first)\n", "(first)\n    app.add(mine)\n"),
            FACTORY.replace(
                "(first)\n    if app.debug", "(users)\n    if app.has_docs"
            ),
            FACTORY.replace(
                "(first)\n    if app.debug",
                "(users)\n    app.add(mine)\n    if app.has_docs",
            ),
            id="a call between two that are others now",
        ),
        pytest.param(
            BASE,
            BASE.replace("5", "7"),
            BASE.replace("5", "6"),
            None,
            id="the same line",
        ),
        pytest.param(
            BASE,
            f"{BASE}    mine: int = 1\n",
            f"{BASE}    mine: int = 2\n",
            None,
            id="a field of one name",
        ),
        pytest.param(
            FACTORY,
            FACTORY.replace("(docs)\n", "(docs)\n        app.add(mine)\n"),
            FACTORY.replace("if app.debug:", "for page in pages:"),
            None,
            id="a call in a block that is another now",
        ),
        pytest.param(
            "def f() -> None:\n    first()\n    second()\n",
            "def f() -> None:\n    first()\n    second()\n    mine()\n",
            "def f() -> None:\n    first()\n    return None\n",
            None,
            id="a call that would never be reached",
        ),
        pytest.param(
            FACTORY,
            FACTORY.replace("(first)\n", "(first)\n    app.add(zipping)\n"),
            FACTORY.replace("(first)\n", "(first)\n    app.add(zipping)\n    go()\n"),
            None,
            id="a call that both add",
        ),
    ],
)
def test_a_definition(base: str, ours: str, theirs: str, expected: str | None) -> None:
    assert merged_definition(base, ours, theirs) == expected


def test_lists_have_the_lines_of_both() -> None:
    assert merged_list("a\n", "a\nmine\n", "a\nb\n") == "a\nb\nmine\n"
    assert merged_list("a\n", "c\n", "b\n") is None


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ('x = [\n    "b",\n]\n', 'x = [\n    "b",\n    "mine",\n]\n'),
        ('y = [\n    "b",\n]\n', None),
        ("x = []\n", None),
    ],
)
def test_toml_has_the_lines_of_both_in_the_same_table(
    theirs: str, expected: str | None
) -> None:
    base = 'x = [\n    "a",\n]\n'
    assert merged_toml(base, base.replace(",\n]", ',\n    "mine",\n]'), theirs) == (
        expected
    )
