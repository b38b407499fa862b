"""The combinations are exactly what copier accepts, and can be selected."""

import itertools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from python_patterns.questions import load_config, load_questions, settle
from tools.combinations import (
    Combination,
    SelectionError,
    as_word,
    find_combinations,
    sample,
    select,
)
from tools.memoising_renderer import MemoisingRenderer
from tools.template import FAMILY_ROOT, copy_template, render

CONFIG = load_config(FAMILY_ROOT)
QUESTIONS = {question.name: question for question in load_questions(FAMILY_ROOT)}
DEFAULTS = settle(QUESTIONS.values(), {})
AXES: list[str] = CONFIG["structural"]["default"]
COMBINATIONS = find_combinations(FAMILY_ROOT)


def values_of(question: str) -> list[str]:
    """List the values of a question's choices, whether valid together or not."""
    choices = QUESTIONS[question].choices(DEFAULTS).values()
    plain = (value["value"] if isinstance(value, dict) else value for value in choices)
    return [as_word(value) for value in plain]


@pytest.fixture(scope="module")
def questions_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the family without its template: asking copier is quick then."""
    root = tmp_path_factory.mktemp("questions")
    family = copy_template(FAMILY_ROOT, root / "family")
    for path in sorted((family / "template").rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    answers = family / "template" / "{{ _copier_conf.answers_file }}.jinja"
    answers.write_text("{{ _copier_answers|to_nice_yaml }}", encoding="utf-8")
    return family


def answers_of_copier(
    given: Mapping[str, str], family: Path, destination: Path
) -> dict[str, Any] | None:
    """Return the structural answers copier records, or nothing where it refuses."""
    try:
        render(given, destination, template=family)
    except ValueError:
        return None
    recorded = yaml.safe_load((destination / ".copier-answers.yml").read_text("utf-8"))
    return {name: as_word(recorded[name]) for name in AXES if name in recorded}


def test_number_of_combinations() -> None:
    sizes = [combination.answers["size"] for combination in COMBINATIONS]
    libraries = len(values_of("worker")) - len(["none", "background"])
    # At medium and large, by layer and by feature.
    shapes = 2 * 2
    # Async or sync: an API or a model, with no worker, in process, or with a library.
    fastapi = 2 * 2 * (2 + libraries)
    # The same with one of two databases, async with one of two mappers.
    fastapi_stored = 2 * fastapi * 3 // 2
    # Sync only; without a database or with one of two.
    flask = 1 + libraries
    # One file without tables, async or sync.
    small_django = 2 * (1 + libraries)
    # An API, async or sync, or async with a WebSocket; a site, async or sync.
    django = 2 * 5 * (1 + libraries)
    # Scripts that wait, async or sync, or compute; workers, async or sync.
    plain = 3 + 2 * libraries
    assert sizes.count("small") == fastapi + flask + small_django + plain
    assert len(COMBINATIONS) - sizes.count("small") == shapes * (
        fastapi + fastapi_stored + 3 * flask + django + plain
    )


def test_ids_name_one_combination_each() -> None:
    assert len({combination.id for combination in COMBINATIONS}) == len(COMBINATIONS)


@pytest.mark.parametrize(
    ("question", "value"), [(name, value) for name in AXES for value in values_of(name)]
)
def test_every_value_occurs_unless_it_is_like_another(
    question: str, value: str
) -> None:
    value = CONFIG["like"]["default"].get(question, {}).get(value, value)
    assert any(
        combination.answers.get(question) == value for combination in COMBINATIONS
    )


def test_yes_is_in_an_id_by_its_name_and_no_is_not() -> None:
    combinations = [
        Combination({"framework": "django", "websocket": word})
        for word in ("no", "yes")
    ]
    assert [combination.id for combination in combinations] == [
        "django",
        "django-websocket",
    ]


def test_hidden_question_is_no_axis() -> None:
    small = select(COMBINATIONS, ["size=small"])
    assert all("layout" not in combination.answers for combination in small)


def test_copier_records_what_a_combination_says(
    questions_only: Path, tmp_path: Path
) -> None:
    chosen = random.Random(1).sample(COMBINATIONS, 30)  # noqa: S311 - a sample, no secret
    for number, combination in enumerate(chosen):
        recorded = answers_of_copier(
            combination.answers, questions_only, tmp_path / str(number)
        )
        assert recorded == combination.answers


def test_what_copier_accepts_is_a_combination(
    questions_only: Path, tmp_path: Path
) -> None:
    product = list(itertools.product(*(values_of(name) for name in AXES)))
    chosen = random.Random(2).sample(product, 40)  # noqa: S311 - a sample, no secret
    for number, values in enumerate(chosen):
        given = dict(zip(AXES, values, strict=True))
        recorded = answers_of_copier(given, questions_only, tmp_path / str(number))
        if recorded is not None:
            purpose = recorded["purpose"]
            recorded["purpose"] = CONFIG["like"]["default"]["purpose"].get(
                purpose, purpose
            )
            assert Combination(recorded) in COMBINATIONS


def other_answers() -> Iterator[tuple[str, object]]:
    for name, details in CONFIG.items():
        is_question = isinstance(details, dict) and "choices" in details
        if is_question and name not in {*AXES, "preset"}:
            for value in values_of(name):
                yield name, [value] if details.get("multiselect") else value


@pytest.mark.parametrize(("question", "value"), list(other_answers()))
def test_defaults_leave_every_choice_open(question: str, value: object) -> None:
    found = find_combinations(FAMILY_ROOT, {question: value})
    assert all(combination in COMBINATIONS for combination in found)


def test_barred_choice_is_no_combination() -> None:
    found = find_combinations(FAMILY_ROOT, {"workload": "cpu"})
    assert {combination.answers["concurrency"] for combination in found} == {"sync"}


def test_select_takes_all_words_together() -> None:
    chosen = select(COMBINATIONS, ["worker=celery,none", "size=large", "layout=layer"])
    assert chosen
    assert all(
        combination.answers["worker"] in {"celery", "none"} for combination in chosen
    )
    assert all(combination.answers["size"] == "large" for combination in chosen)


def test_select_takes_ids() -> None:
    assert select(COMBINATIONS, [COMBINATIONS[3].id, COMBINATIONS[1].id]) == [
        COMBINATIONS[1],
        COMBINATIONS[3],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wroker=celery"], "There is no structural answer 'wroker': take framework, "),
        (["worker=celry"], "worker is never 'celry': take none, background, celery"),
        (
            ["nothing"],
            "There is no combination 'nothing': give a combination's id, or answers ",
        ),
        (
            ["size=small", "layout=layer"],
            "No combination has size=small layout=layer at once",
        ),
    ],
)
def test_selection_errors_are_one_clear_sentence(
    words: list[str], message: str
) -> None:
    with pytest.raises(SelectionError) as caught:
        select(COMBINATIONS, words)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_sample_shows_every_two_answers_that_go_together() -> None:
    def pairs(combinations: list[Combination]) -> set[tuple[tuple[str, str], ...]]:
        return {
            pair
            for combination in combinations
            for pair in itertools.combinations(combination.answers.items(), 2)
        }

    chosen = sample(COMBINATIONS)
    assert pairs(chosen) == pairs(COMBINATIONS)
    assert len(chosen) < len(COMBINATIONS) / 5
    assert sample(COMBINATIONS) == chosen


FAMILY_OF_OTHERS = {
    "copier.yml": "_subdirectory: template\n---\n!include more/*.yml\n",
    "more/a.yml": """
web: {type: str, choices: [bottle, falcon], default: bottle}
fast: {type: bool, default: "{{ web == 'falcon' }}", when: "{{ web == 'falcon' }}"}
cores: {type: int, choices: [[one, 1], [two, {value: 2, validator: "{% if not fast %}
  slow{% endif %}"}]], default: 1}
structural: {type: yaml, when: false, default: [web, cores]}
""",
    "template/README": "",
}


def test_any_family_has_combinations(tmp_path: Path) -> None:
    for name, text in FAMILY_OF_OTHERS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    ids = [combination.id for combination in find_combinations(tmp_path)]
    assert ids == ["bottle-1", "falcon-1", "falcon-2"]


def test_computed_answers_may_have_a_directory_of_their_own(tmp_path: Path) -> None:
    for name, text in {
        "family/copier.yml": "_subdirectory: template\n_answers_file: .a.yml\n---\n"
        "!include questions/web.yml\n---\n!include computed/*.yml\n",
        "family/questions/web.yml": "web: {type: str, choices: [a, b], default: a}\n",
        "family/computed/port.yml": "port: {when: false, type: int, default: "
        "\"{% from 'computed/ports.jinja' import of %}{{ of(web) }}\"}\n",
        "family/computed/structural.yml": "structural: {type: yaml, when: false, "
        "default: [web]}\n",
        "family/computed/ports.jinja": "{% macro of(w) %}{{ w|length }}{% endmacro %}",
        "family/template/port.txt.jinja": "{% include 'computed/text.jinja' %}",
        "family/computed/text.jinja": "{{ port }} {{ web }}",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    family = copy_template(tmp_path / "family", tmp_path / "copy")
    assert [one.id for one in find_combinations(family)] == ["a", "b"]
    (file,) = MemoisingRenderer(family).files({"web": "b"}).values()
    assert file
    assert file.content == b"1 b"
    render({"web": "b"}, tmp_path / "project", template=family)
    assert (tmp_path / "project/port.txt").read_bytes() == b"1 b"


def test_family_without_structural_question_is_refused(tmp_path: Path) -> None:
    (tmp_path / "copier.yml").write_text("name: x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no question 'structural'"):
        find_combinations(tmp_path)


def test_render_gives_the_bytes_of_plain_copier(tmp_path: Path) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    combination = COMBINATIONS[-1]
    plain = tmp_path / "plain"
    copier.run_copy(
        str(family), plain, data=dict(combination.answers), defaults=True, quiet=True
    )
    for turn in ("first", "with everything remembered"):
        fast = render(combination.answers, tmp_path / turn, template=family)
        names = sorted(path.relative_to(fast) for path in fast.rglob("*"))
        assert names == sorted(path.relative_to(plain) for path in plain.rglob("*"))
        for name in names:
            if (plain / name).is_file():
                assert (fast / name).read_bytes() == (plain / name).read_bytes()
