"""The page of a run, in a browser without a network: ``nox -s browser``."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tools.combinations import Combination
from tools.matrix.page import write_page
from tools.matrix.report import OWN_TESTS, RENDER, TYPES, Display, Report, Spent

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page


@pytest.fixture
def page(new_page: "Callable[..., Page]", tmp_path: Path) -> "Page":
    """Open the page of a run with three combinations, one of which failed."""
    combinations = [
        Combination({"framework": framework, "size": size})
        for framework, size in (
            ("flask", "small"),
            ("flask", "medium"),
            ("django", "medium"),
        )
    ]
    report = Report(Display(Console(quiet=True)))
    for combination in combinations:
        report.add(combination.id, RENDER, [], Spent(1, 0.25))
        report.add_known(combination.id, TYPES)
    broken = combinations[1].id
    report.add(broken, OWN_TESTS, ["test_a failed: <b> & </script>"], Spent(9, 8.5))
    log = tmp_path / broken / f"stage-{OWN_TESTS}.log"
    log.parent.mkdir()
    log.write_text("the whole log\n", encoding="utf-8")
    combination_of = {combination.id: combination.id for combination in combinations}
    path = write_page(
        report, combinations, combination_of, tmp_path, "3 combinations, 1 failed"
    )
    page = new_page(offline=True)
    page.goto(path.as_uri())
    return page


def shown(page: "Page") -> str:
    text: str = page.get_by_role("status").inner_text()
    return text


def test_filters_work(page: "Page") -> None:
    assert shown(page) == "3 of 3 combinations"
    page.get_by_label("framework").select_option("flask")
    assert shown(page) == "2 of 3 combinations"
    page.get_by_label("State").select_option("failed")
    assert shown(page) == "1 of 3 combinations"
    assert page.get_by_role("row", name="flask-medium").is_visible()
    assert page.get_by_role("row", name="flask-small").is_hidden()
    page.get_by_label("State").select_option("all")
    page.get_by_label("Combination").fill("small")
    assert shown(page) == "1 of 3 combinations"


def test_the_log_of_a_failure_is_one_click_away(page: "Page") -> None:
    row = page.get_by_role("row", name="flask-medium")
    times = row.get_by_role("cell").all_inner_texts()
    assert times == ["0.25", "as before", "failed 8.50", "not run"]
    assert page.get_by_text("the whole log").is_hidden()
    row.get_by_role("button").click()
    assert page.get_by_text("the whole log").is_visible()
    assert page.get_by_text("test_a failed: <b> & </script>").is_visible()
    command = "nox -s matrix -- flask-medium --stages 3 --keep DIR"
    assert page.get_by_text(command).is_visible()
