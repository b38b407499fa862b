"""READMEs of small projects fit a screen or two."""

from pathlib import Path

import pytest

from tools.combinations import Combination, find_combinations, select
from tools.memoising_renderer import renderer_of
from tools.template import FAMILY_ROOT, family_template

SMALL = select(find_combinations(FAMILY_ROOT), ["size=small"])
LINES, LINES_OF_JOBS = 80, 120


@pytest.mark.parametrize("combination", SMALL, ids=lambda one: one.id)
def test_a_readme_is_short(combination: Combination, tmp_path: Path) -> None:
    renderer_of(family_template()).render(combination.answers, tmp_path / "project")

    readme = (tmp_path / "project" / "README.md").read_text("utf-8")
    has_broker = "## Jobs" in readme
    assert readme.count("\n") <= (LINES_OF_JOBS if has_broker else LINES)
    assert "docs/decisions.md" in readme
