"""What the newcomer's clock types is what the READMEs say."""

from tools.newcomer import SECTION, Result, blocks, table, typed
from tools.template import FAMILY_ROOT


def test_the_first_commands_are_those_of_the_readme() -> None:
    first, second, *_ = blocks(FAMILY_ROOT / "README.md", SECTION)
    assert first == 'python -m pip install uv && uvx copier copy "$PWD" ../my-service'
    assert second.splitlines()[0] == "cd ../my-service"


def test_commands_are_counted() -> None:
    assert typed("git init -b main && uv sync") == 2
    assert typed("cp .env.example .env  # and set A && B there") == 1


def test_the_table_has_a_line_for_each_project() -> None:
    [*_, line] = table({"site": Result(90, 3 * 2**20, 9)})
    assert line == "| site | 1.5 | 3 MB | 9 |"
