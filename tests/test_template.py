"""The template's shape: what a reader of its files can rely on."""

import re
from pathlib import Path

import pytest

FAMILY = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for directory in ("template", "includes")
    for path in (FAMILY / directory).rglob("*")
    if path.suffix in {".jinja", ".py"} and path.name != "imports.jinja"
)
MOST_IFS = 8
CONDITION = re.compile(r"\{%-?\s*(?:if|elif)\s(.*?)-?%\}", re.DOTALL)

# What a condition may ask about, by the choice that decides it.
AXES = {
    "size": {"size", "small_size", "package"},
    "worker": {
        "worker",
        "has_jobs",
        "has_broker",
        "has_results",
        "has_schedule",
        "enqueues_with_await",
        "library",
        "checks_in_requests",
        "queued_in_process",
    },
    "concurrency": {"concurrency", "await_", "async_", "has_async_views"},
    "layout": {"layout", "by_feature"},
    "database": {"database", "has_database"},
    "orm": {"orm", "orms", "uses_tortoise"},
    "domain": {
        "purpose",
        "has_site",
        "has_users",
        "has_checks",
        "has_predictions",
        "has_duplicates",
    },
    "websocket": {"has_websocket"},
    "framework": {
        "framework",
        "server",
        "web",
        "kind",
        "run_as",
        "is_contained",
        "uses_django",
    },
}


def conditions(path: Path) -> list[str]:
    return CONDITION.findall(path.read_text())


def axes(path: Path) -> set[str]:
    words = {
        word
        for condition in conditions(path)
        for word in re.findall(r"[a-z_]+", re.sub(r"'[^']*'", "", condition))
    }
    return {axis for axis, names in AXES.items() if words & names}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_file_asks_more_than_eight_questions_or_about_two_choices(
    path: Path,
) -> None:
    assert len(conditions(path)) <= MOST_IFS
    assert len(axes(path)) <= 1, axes(path)


def test_names_carry_no_conditions_and_suit_every_file_system() -> None:
    for path in (FAMILY / "template").rglob("*"):
        name = path.name
        assert "{% if" not in name
        assert not re.search(r'["|<>:]', name), name
