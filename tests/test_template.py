"""The template's shape: what a reader of its files can rely on."""

import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import jinja2
import pytest

from python_patterns.questions import libraries_of, load_config
from tools.combinations import Combination, find_combinations
from tools.memoising_renderer import MemoisingRenderer
from tools.template import FAMILY_ROOT

CONFIG = load_config(FAMILY_ROOT)
TEMPLATES = sorted((FAMILY_ROOT / "template").rglob("*.jinja"))
FRAGMENTS = sorted(
    path
    for path in (FAMILY_ROOT / "includes").rglob("*.jinja")
    # The macros that put imports together are a program, not text.
    if path.name not in {"imports.jinja", "module.jinja"}
)
ANSWERS = sorted(
    path
    for directory in ("questions", "computed")
    for path in (FAMILY_ROOT / directory).rglob("*")
    if path.is_file()
)
MOST_IFS = 12
# Functions in which each feature has a line or two: four files would be harder to read.
MEETING_PLACES = {
    "includes/frameworks/fastapi/lifespan.jinja": 20,
    "includes/workers/arq/worker.jinja": 22,
}
MOST_FRAGMENTS = 200
MOST_HIDDEN = 100
MOST_FORWARDING = 8
MOST_LETTERS = 120
CONDITION = re.compile(r"\{%-?\s*(?:if|elif)\s(.*?)-?%\}", re.DOTALL)
TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
INCLUDED = re.compile(
    r"\{%-?\s*(?:include|from|import)\s+([^%]*?)\s*(?:import [^%]*)?-?%\}"
)
VARYING = {
    *("framework", "mapper", "database", "worker"),
    # Rows of tables: decisions of the record, sections of the README, maps of paths.
    *("decision", "section", "kind", "preset"),
}
# What every library of jobs brings; where its row says so, also these.
LIBRARY_FILES = {
    "app.jinja",
    "checks.jinja",
    "failed_jobs.jinja",
    "guide.md.jinja",
    "predictions.jinja",
    "readme.md.jinja",
    "tests.jinja",
    "tests_failing.jinja",
    "tests_enqueue.jinja",
    "users.jinja",
    "users_django.jinja",
}


# Questions and messages of copier include these.
ASKING = [FAMILY_ROOT / "copier.yml", *ANSWERS]
READ_BY_QUESTIONS = {
    "includes/record/open_gaps.jinja",
    "includes/validators/check_email.jinja",
    "includes/validators/check_slug.jinja",
    "includes/validators/check_text.jinja",
    "includes/validators/reserved_names.jinja",
}


def name_of(path: Path) -> str:
    return path.relative_to(FAMILY_ROOT).as_posix()


@pytest.mark.parametrize("path", [*TEMPLATES, *FRAGMENTS], ids=name_of)
def test_a_file_has_few_conditions(path: Path) -> None:
    most = MEETING_PLACES.get(name_of(path), MOST_IFS)
    assert len(CONDITION.findall(path.read_text("utf-8"))) <= most


def test_names_carry_no_conditions_and_suit_every_file_system() -> None:
    for path in (FAMILY_ROOT / "template").rglob("*"):
        name = path.name
        assert "{% if" not in name
        assert not re.search(r'["|<>:]', name), name


def test_the_house_stays_small() -> None:
    hidden = [
        name
        for name, details in CONFIG.items()
        if isinstance(details, dict) and details.get("when") is False
    ]
    assert len(hidden) <= MOST_HIDDEN
    assert len(FRAGMENTS) <= MOST_FRAGMENTS


def lines_of_its_own(path: Path) -> list[str]:
    text = re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("{%")]


def test_few_template_files_only_forward() -> None:
    forwarding = [path for path in TEMPLATES if len(lines_of_its_own(path)) <= 2]
    assert len(forwarding) <= MOST_FORWARDING, sorted(map(name_of, forwarding))


@pytest.mark.parametrize("path", ANSWERS, ids=name_of)
def test_no_expression_is_long(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        for tag in TAG.findall(line):
            assert len(tag) <= MOST_LETTERS, tag


# --- Nothing drops out in silence -----------------------------------------------------


def test_no_include_may_be_missing() -> None:
    for path in [*TEMPLATES, *FRAGMENTS, *ANSWERS]:
        assert "ignore missing" not in path.read_text("utf-8"), name_of(path)


def test_an_include_names_a_file_or_says_which_directory_varies() -> None:
    """Only frameworks, mappers, databases and libraries are exchanged by name."""
    named = set()
    for path in [*TEMPLATES, *FRAGMENTS, *ASKING]:
        for expression in INCLUDED.findall(path.read_text("utf-8")):
            if re.fullmatch(r"'[^']+'", expression):
                name = expression.strip("'")
                named.add(name)
                assert (FAMILY_ROOT / name).is_file(), f"{name}, in {name_of(path)}"
            elif "~" in expression:
                words = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", expression)))
                assert words <= VARYING, (name_of(path), expression)
    assert named >= READ_BY_QUESTIONS


class Loader(jinja2.BaseLoader):
    """Notes which templates are loaded, and does not find one that is hidden."""

    def __init__(self, loader: jinja2.BaseLoader) -> None:
        self.loader = loader
        self.loaded: set[str] = set()
        self.hidden = ""

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return a template's source.

        Raises:
            TemplateNotFound: it is the hidden one.
        """
        if template == self.hidden:
            raise jinja2.TemplateNotFound(template)
        self.loaded.add(template)
        return self.loader.get_source(environment, template)


@pytest.fixture(scope="module")
def loader() -> Loader:
    """Return the loader of the renderer."""
    found = RENDERER.jinja.loader
    assert found is not None
    return Loader(found)


RENDERER = MemoisingRenderer(FAMILY_ROOT)


@pytest.fixture(scope="module")
def reached(loader: Loader) -> dict[str, Combination]:
    """Return each template that some combination loads, with the first that does."""
    RENDERER.jinja.loader = loader
    found: dict[str, Combination] = {}
    names = {name_of(path) for path in FRAGMENTS} - READ_BY_QUESTIONS
    everything = find_combinations(FAMILY_ROOT)
    # Neighbours are alike: some from everywhere first, and the others if need be.
    for combination in chain.from_iterable(everything[at::17] for at in range(17)):
        if names <= found.keys():
            break
        RENDERER.files(combination.answers)
        for name in loader.loaded - found.keys():
            found[name] = combination
    return found


@pytest.mark.parametrize("path", FRAGMENTS, ids=name_of)
def test_a_fragment_that_is_renamed_stops_the_render_by_its_name(
    path: Path, loader: Loader, reached: dict[str, Combination]
) -> None:
    name = name_of(path)
    if name in READ_BY_QUESTIONS:
        return  # the test of includes names it
    # One that no combination reaches is named here.
    combination = reached[name]
    loader.hidden = name
    compiled = RENDERER.jinja.cache
    assert compiled is not None
    for key in [key for key in compiled if key[1] == name]:
        del compiled[key]
    RENDERER.memory.clear()
    try:
        with pytest.raises(jinja2.TemplateNotFound, match=re.escape(name)):
            RENDERER.files(combination.answers)
    finally:
        loader.hidden = ""


def test_every_library_of_jobs_brings_the_same_files() -> None:
    libraries = libraries_of(FAMILY_ROOT)
    workers = FAMILY_ROOT / "includes" / "workers"
    for name, row in libraries.items():
        files = set(LIBRARY_FILES)
        files |= {"worker.jinja"} if "queue_module" in row else set()
        files |= {"schedule.jinja"} if "schedule_module" in row else set()
        assert {path.name for path in (workers / name).iterdir()} == files, name
    assert {path.name for path in workers.iterdir() if path.is_dir()} == {
        *libraries,
        "background",
    }
