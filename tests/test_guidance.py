"""What is recommended and why, what is asked, and what is written down of it."""

import itertools
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from repositories import commit
from tools.combinations import find_combinations
from tools.questions import Question, libraries_of, load_questions, settle
from tools.records import Record, records, shape
from tools.template import FAMILY_ROOT, copy_template, render

QUESTIONS = load_questions(FAMILY_ROOT)
SHAPE = shape()
COMBINATIONS = find_combinations(FAMILY_ROOT)
COPIER = Path(sys.executable).parent / "copier"
VARIANTS = sorted((FAMILY_ROOT / "variants").glob("*.yml"))
# Each line: a context, what is recommended for it, and the sentences of the
# requirements that say so. A2: API → FastAPI; site, admin → Django; simple, learning →
# Flask; model → FastAPI; background work → Celery. A4: admin, team and infrastructure
# decide. A5: waiting → async; computing, a team that does not know it → sync. A6: no
# async for computing; no BackgroundTasks for what needs a worker. C1: what is small.
DECISIONS = """
api    io    knows -        -     | fastapi async medium none   sqlite | A2 A5
api    io    knows -        small | fastapi async small  none   none   | A2 A5 C1
api    io    knows -        large | fastapi async large  none   sqlite | A2 A5
api    io    knows redis    -     | fastapi async medium celery sqlite | A2 A4 A6
api    io    knows redis    small | fastapi async small  celery none   | A2 A4 A6
api    io    knows pg       -     | fastapi async medium none   pg     | A2 A4
api    io    knows redis,pg -     | fastapi async medium celery pg     | A2 A4
api    io    knows redis,pg large | fastapi async large  celery pg     | A2 A4
api    io    new   -        -     | fastapi sync  medium none   sqlite | A2 A5
api    io    new   -        small | flask   sync  small  none   none   | A2 A5 C1
api    io    new   redis    small | flask   sync  small  celery none   | A2 A4
api    io    new   redis    -     | fastapi sync  medium celery sqlite | A4 A5
api    io    new   pg       large | fastapi sync  large  none   pg     | A4 A5
api    cpu   knows -        -     | fastapi sync  medium none   sqlite | A2 A5 A6
api    cpu   knows -        small | fastapi sync  small  none   none   | A2 A5 A6
api    cpu   knows redis    -     | fastapi sync  medium celery sqlite | A4 A5 A6
api    cpu   knows pg       large | fastapi sync  large  none   pg     | A4 A5
api    mixed knows -        -     | fastapi async medium none   sqlite | A2 A5
api    mixed new   -        -     | fastapi sync  medium none   sqlite | A2 A5
api    mixed new   -        small | flask   sync  small  none   none   | A2 A5
admin  io    knows -        -     | django  async medium none   sqlite | A2 A4 A5
admin  io    new   -        -     | django  sync  medium none   sqlite | A2 A4 A5
admin  io    new   redis,pg -     | django  sync  medium celery pg     | A2 A4 A5
admin  io    knows redis    large | django  async large  celery sqlite | A2 A4
admin  cpu   knows -        -     | django  sync  medium none   sqlite | A2 A4 A5
admin  mixed new   pg       large | django  sync  large  none   pg     | A2 A4 A5
site   io    knows -        -     | django  async medium none   sqlite | A2 A5
site   io    new   -        -     | django  sync  medium none   sqlite | A2 A5
site   io    new   redis    -     | django  sync  medium celery sqlite | A2 A4
site   io    knows pg       large | django  async large  none   pg     | A2 A4
site   cpu   knows -        -     | django  sync  medium none   sqlite | A2 A5
site   mixed knows redis,pg large | django  async large  celery pg     | A2 A4
ml     mixed knows -        -     | fastapi async medium none   none   | A2 A5
ml     mixed new   -        -     | fastapi sync  medium none   none   | A2 A5
ml     cpu   knows -        -     | fastapi sync  medium none   none   | A2 A5 A6
ml     mixed knows redis    -     | fastapi async medium celery none   | A2 A4
ml     mixed knows pg       large | fastapi async large  none   pg     | A2 A4
ml     io    knows -        small | fastapi async small  none   none   | A2 A5
ml     io    new   -        small | fastapi sync  small  none   none   | A2 A5
script io    knows -        -     | none    async medium none   none   | A5
script io    new   -        -     | none    sync  medium none   none   | A5
script cpu   knows -        -     | none    sync  medium none   none   | A5 A6
script cpu   knows -        small | none    sync  small  none   none   | A5 C1
script mixed new   -        small | none    sync  small  none   none   | A5 C1
worker io    knows -        -     | none    async medium celery none   | A2 A5
worker io    new   -        -     | none    sync  medium celery none   | A2 A5
worker cpu   knows -        large | none    sync  large  celery none   | A2 A5
worker mixed new   redis    small | none    sync  small  celery none   | A2 A4
"""
CONTEXTS = [line for line in DECISIONS.splitlines() if line]
EXPECTED = ("framework", "concurrency", "size", "worker", "database")


@pytest.mark.parametrize("line", CONTEXTS)
def test_what_is_recommended_follows_from_the_context(line: str) -> None:
    written = line.replace("pg", "postgresql").split("|")
    context, expected, sentences = (part.split() for part in written)
    purpose, workload, team, infrastructure, size = context
    given = {
        "purpose": purpose.replace("admin", "api"),
        "needs_admin": purpose == "admin",
        "workload": workload,
        "async_team": team == "knows",
        "infrastructure": [] if infrastructure == "-" else infrastructure.split(","),
        **({} if size == "-" else {"size": size}),
    }
    answers = settle(SHAPE, given)

    assert [answers[name] for name in EXPECTED] == expected
    assert sentences


def test_the_table_has_no_default_for_all() -> None:
    assert len(CONTEXTS) >= 40
    columns = zip(*(line.split("|")[1].split() for line in CONTEXTS), strict=True)
    assert all(len(set(column)) > 1 for column in columns)


def contexts() -> Iterator[dict[str, Any]]:
    """Yield every way to answer what comes before the framework."""
    purposes = ("api", "admin", "site", "ml", "script", "worker")
    for purpose, workload, knows, runs, size in itertools.product(
        purposes,
        ("io", "cpu", "mixed"),
        (True, False),
        ([], ["redis"], ["postgresql"]),
        ("small", "medium"),
    ):
        if size == "medium" or purpose not in {"site", "admin"}:
            yield {
                "purpose": purpose.replace("admin", "api"),
                "needs_admin": purpose == "admin",
                "workload": workload,
                "async_team": knows,
                "infrastructure": runs,
                "size": size,
            }


def questions_put(given: Mapping[str, Any]) -> list[tuple[Question, dict[str, Any]]]:
    """List the questions about the shape that are put, with the answers before each."""
    answers: dict[str, Any] = {}
    found = []
    for question in SHAPE:
        if question.is_put(answers):
            found.append((question, dict(answers)))
        if question.name in given and question.is_asked(answers):
            answers[question.name] = given[question.name]
        else:
            answers[question.name] = question.default(answers)
    return found


@pytest.fixture(scope="module")
def dialogues() -> list[list[tuple[Question, dict[str, Any]]]]:
    """Give what is asked in each context."""
    return [questions_put(given) for given in contexts()]


def test_at_most_eight_questions_are_put_and_each_has_a_choice(
    dialogues: list[list[tuple[Question, dict[str, Any]]]],
) -> None:
    for dialogue in dialogues:
        names = [question.name for question, _ in dialogue]
        assert names[0] == "purpose"
        assert len(names) <= 8, names
        for question, answers in dialogue:
            if "choices" in question.details:
                choices = list(question.valid_values(answers))
                # One thing that may be chosen is a choice: to leave it.
                least = 1 if question.details.get("multiselect") else 2
                assert len(choices) >= least, (question.name, answers)


def test_every_help_fits_a_terminal_and_says_what_is_recommended(
    dialogues: list[list[tuple[Question, dict[str, Any]]]],
) -> None:
    for question, answers in itertools.chain(*dialogues):
        text = str(question.render(question.details["help"], answers))
        assert max(map(len, text.splitlines())) <= 92, text
        for name in [question.name, *answers.get("open_choices", [])]:
            if question.name in {"size", "framework", "own_choices"} and (
                advice := answers.get(f"recommended_{name}")
            ):
                assert advice["why"] in text


PROMPTS = (
    "What are you building",
    "Do you need an admin",
    "What will it spend most of its time on",
    "Is the team experienced with async",
    "Which infrastructure do you have",
    "How large is the project",
    "Which framework do you prefer",
    "What do you want to choose yourself",
    "Name of the project",
    "Name of the Python package",
    "Description of the project",
    "Author",
    "Author's email",
)


def test_enter_through_all_questions_gives_the_default_project(tmp_path: Path) -> None:
    """Thirteen times Enter on a terminal: eight beside the five names."""
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    by_hand = tmp_path / "by hand"
    master, slave = pty.openpty()
    with subprocess.Popen(
        [COPIER, "copy", str(family), str(by_hand)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={
            **os.environ,
            "TERM": "xterm",
            "COLUMNS": "100",
            "PYTHONWARNINGS": "ignore",
        },
    ) as process:
        os.close(slave)
        seen = ""
        for prompt in PROMPTS:
            seen = _read_until(master, prompt)
            os.write(master, b"\r")
        seen = _read_until(master, "See README.md for the rest")
        assert process.wait(timeout=60) == 0
    os.close(master)

    assert "Open gaps, most important first" in seen
    answers = yaml.safe_load((by_hand / ".copier-answers.yml").read_text("utf-8"))
    expected = render({}, tmp_path / "defaults")
    defaults = yaml.safe_load((expected / ".copier-answers.yml").read_text("utf-8"))
    assert {**answers, "_src_path": ""} == {**defaults, "_src_path": ""}


def _read_until(terminal: int, text: str, seconds: float = 120) -> str:
    seen = ""
    deadline = time.monotonic() + seconds
    while text not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen):
        left = deadline - time.monotonic()
        assert left > 0, seen
        if select.select([terminal], [], [], left)[0]:
            seen += os.read(terminal, 65536).decode("utf-8", "replace")
    # What is typed while a prompt is drawn gets lost: wait until it is quiet.
    while select.select([terminal], [], [], 0.5)[0]:
        try:
            seen += os.read(terminal, 65536).decode("utf-8", "replace")
        except OSError:  # the other side has ended
            break
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_a_variant_asks_for_nothing_but_names(variant: Path) -> None:
    given = yaml.safe_load(variant.read_text("utf-8"))

    assert not {question.name for question, _ in questions_put(given)} - given.keys()


def test_copying_without_a_terminal_asks_nothing(tmp_path: Path) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    file = f"--data-file={family / 'variants' / 'script.yml'}"
    done = subprocess.run(
        [COPIER, "copy", "--defaults", file, str(family), str(tmp_path / "script")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No gap is left." in done.stderr


# The words for each choice, where they are nothing else as well.
WORDS = {
    "framework": {"fastapi": "FastAPI", "django": "Django", "flask": "Flask"},
    "database": {"sqlite": "SQLite", "postgresql": "PostgreSQL"},
    "worker": {
        "background": "BackgroundTasks",
        **{name: row["name"] for name, row in libraries_of(FAMILY_ROOT).items()},
    },
    "concurrency": {"async": "async", "sync": "sync"},
    "layout": {"layer": "by layer", "feature": "by feature"},
}
CHECKLIST = [
    "Framework preference",
    "Framework for this project",
    "Async or sync",
    "Type hints",
    "Structure",
    "Error handling",
    "Background tasks",
]


@pytest.fixture(scope="module")
def every() -> list[Record]:
    """Give every combination with what its record is written from."""
    return list(records())


def other_words(answers: Mapping[str, Any]) -> list[str]:
    return [
        word
        for question, words in WORDS.items()
        for value, word in words.items()
        if answers[question] != value
    ]


def mentions(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<![\w`-]){re.escape(word)}(?!\w)", text))


def test_every_record_answers_the_checklist(
    every: list[Record],
) -> None:
    for record in every:
        combination, answers = record.combination, record.answers
        decisions = answers["decisions"]
        assert [item["title"] for item in decisions[:7]] == CHECKLIST, combination.id
        for item in decisions:
            assert item["choice"], (combination.id, item)
            assert all(why.endswith(".") for why in item["why"]), (combination.id, item)
            assert item["why"] or item["against"], (combination.id, item)
            assert item["alternatives"] or item["otherwise"], (combination.id, item)


def test_no_reason_speaks_of_what_was_not_chosen(
    every: list[Record],
) -> None:
    """Only alternatives, and what was recommended instead, are other options."""
    for record in every:
        combination, answers = record.combination, record.answers
        for item in answers["decisions"]:
            text = " ".join([item["choice"], *item["why"]])
            found = [word for word in other_words(answers) if mentions(text, word)]
            assert not found, (combination.id, found, text)


def recommended_of(answers: Mapping[str, Any], name: str) -> str:
    advice = answers.get(f"recommended_{name}") or answers["recommended"][name]
    value: str = advice["value"]
    return value


def test_every_record_says_what_was_chosen_against_the_recommendation(
    every: list[Record],
) -> None:
    for record in every:
        combination, answers = record.combination, record.answers
        if answers["has_duplicates"]:
            continue  # what a script does decides how
        against = {
            name
            for name in ("framework", "size", "concurrency", "layout", "worker")
            if recommended_of(answers, name) != answers[name]
            and not (name == "layout" and answers["small_size"])
        }
        if not answers["small_size"] and answers["framework"] != "none":
            recommended = recommended_of(answers, "database")
            against |= {"database"} - (
                {"database"} if recommended == answers["database"] else set()
            )
        against |= {"orm"} if answers["uses_tortoise"] else set()
        noted = [note for item in answers["decisions"] for note in item["against"]]
        assert len(noted) == len(against), (combination.id, noted, against)


def parse(change: str) -> tuple[str, object]:
    name, _, value = change.partition("=")
    return name, {"yes": True, "no": False}.get(value, value)


def test_every_command_of_a_record_is_accepted(
    every: list[Record],
) -> None:
    """With the answers that a project has recorded, and what the command changes."""
    recorded_names = [question.name for question in SHAPE]
    known: dict[tuple[object, ...], None] = {}
    for record in every:
        combination, answers = record.combination, record.answers
        recorded = {
            name: answers[name]
            for name, question in zip(recorded_names, SHAPE, strict=True)
            if question.is_asked(answers) and name not in {"preset", "p"}
        }
        for change in record.changes:
            changed = {**recorded, **dict(map(parse, change))}
            key = tuple((name, str(value)) for name, value in sorted(changed.items()))
            if key not in known:
                known[key] = None
                new = settle(SHAPE, changed)
                assert all(new[name] == value for name, value in map(parse, change)), (
                    combination.id,
                    change,
                )


def test_the_record_is_in_the_project(tmp_path: Path) -> None:
    medium = render({}, tmp_path / "medium")
    small = render({"size": "small"}, tmp_path / "small")
    in_medium = (medium / "docs" / "decisions.md").read_text("utf-8")
    in_small = (small / "README.md").read_text("utf-8")

    for number, title in enumerate(CHECKLIST, 1):
        assert f"\n## {number}. {title}: " in in_medium
        assert f"\n### {number}. {title}: " in in_small
    assert "(docs/decisions.md)" in (medium / "README.md").read_text("utf-8")
    assert not (small / "docs").exists()


def test_a_command_of_the_record_changes_the_project(tmp_path: Path) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    commit(family, tag="v1.0.0")
    project = tmp_path / "project"
    copied = subprocess.run(
        [COPIER, "copy", "--defaults", str(family), str(project)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "Open gaps, most important first" in copied.stderr
    assert "SQLite allows" in copied.stderr
    commit(project)
    record = (project / "docs" / "decisions.md").read_text("utf-8")
    command = "uvx --from TEMPLATE patterns grow database=postgresql"
    assert f"`{command}`" in record

    done = subprocess.run(
        [sys.executable, "-m", "python_patterns", *command.split()[4:]],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    record = (project / "docs" / "decisions.md").read_text("utf-8")
    assert "## 8. Data: PostgreSQL" in record
    assert "The recommendation was SQLite" in record
    assert "SQLite allows" not in record
