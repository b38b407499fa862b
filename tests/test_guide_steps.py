"""Guides are done as they are written, and what cannot be done is an error."""

import pytest

from tools.guides import GuideError, errors, follow

FILES = {
    "main.py": "import a\n\n\ndef main() -> None:\n    a.run()\n",
    "tests/test_main.py": "def test_it() -> None:\n    assert a\n\n\nB = 1\n",
}


def followed(text: str) -> dict[str, str]:
    files = dict(FILES)
    follow(text, files, lambda _: None)
    return files


def test_a_block_is_a_file() -> None:
    text = "Create `b.py`:\n\n```python\nB = 1\n```\n"
    assert followed(text)["b.py"] == "B = 1\n"
    with pytest.raises(GuideError, match=r"main\.py is there already"):
        followed(text.replace("b.py", "main.py"))
    with pytest.raises(GuideError, match="Which file"):
        followed(text.replace("`", "", 2))


def test_a_change_follows_the_lines_around_it() -> None:
    change = " import a\n+import b\n-    a.run()\n+    b\n"
    text = f"Change `main.py`:\n\n```diff\n{change}```\n"
    assert followed(text)["main.py"] == (
        "import a\nimport b\n\n\ndef main() -> None:\n    b\n"
    )
    with pytest.raises(GuideError, match=r"main\.py: There is no line 'import c'"):
        followed(text.replace(" import a", " import c"))


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("the lines with `import`", "\n\ndef main() -> None:\n    a.run()\n"),
        ("the function `main`", "import a\n\n\n"),
    ],
)
def test_a_row_deletes(what: str, left: str) -> None:
    assert followed(f"| `main.py` | {what} |\n")["main.py"] == left


def test_a_row_deletes_tests_by_what_they_mention() -> None:
    row = "| `tests/test_main.py` | the tests that mention `assert` |\n"
    assert followed(row)["tests/test_main.py"] == "\n\nB = 1\n"
    with pytest.raises(GuideError, match="Nothing is called nothing"):
        followed(row.replace("assert", "nothing"))


def test_what_a_guide_removes_has_to_be_there() -> None:
    name, command = "docs/remove-the-example.md", "git rm --quiet tests other.py"
    found = list(errors({**FILES, name: f"```console\n{command}\n```\n"}))
    assert found == [f"{name}: {command}: there is no other.py."]
