"""What is recommended and why, what is asked, and what is written down of it."""

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from python_patterns.questions import Question, libraries_of, load_questions, settle
from repositories import commit
from tools.combinations import find_combinations
from tools.records import Record, records, shape
from tools.template import FAMILY_ROOT, copy_template, render
from tools.terminal import ENTER, Terminal

QUESTIONS = load_questions(FAMILY_ROOT)
SHAPE = shape()
COMBINATIONS = find_combinations(FAMILY_ROOT)
COPIER = Path(sys.executable).parent / "copier"
VARIANTS = sorted((FAMILY_ROOT / "variants").glob("*.yml"))
# Each line: what is built, its workload, whether the team knows async, what runs
# already, what is left to do after a response, a size that is chosen; and what is
# recommended: framework, concurrency, size, layout, database, worker. As A2 to A6 of
# the requirements say: API → FastAPI; site, admin → Django; simple, learning → Flask;
# model → FastAPI; background work → Celery; waiting → async; computing, a team that
# does not know it → sync; a script → sync, for async saves it memory but no time (its
# README has the measurement); BackgroundTasks only for what may get lost.
DECISIONS = """
api      io    yes -     none     -     | fastapi async medium layer   sqlite none
api      io    yes -     short    -     | fastapi async medium layer   sqlite background
api      io    yes -     must     -     | fastapi async medium layer   sqlite celery
api      io    yes -     schedule -     | fastapi async medium layer   sqlite celery
api      io    yes -     none     small | fastapi async small  -       none   none
api      io    yes -     short    small | fastapi async small  -       none   background
api      io    yes -     must     small | fastapi async small  -       none   celery
api      io    yes -     none     large | fastapi async large  feature sqlite none
api      io    yes redis none     -     | fastapi async medium layer   sqlite none
api      io    yes redis short    -     | fastapi async medium layer   sqlite celery
api      io    yes redis must     -     | fastapi async medium layer   sqlite celery
api      io    yes redis schedule large | fastapi async large  feature sqlite celery
api      io    yes pg    none     -     | fastapi async medium layer   pg     none
api      io    yes both  must     -     | fastapi async medium layer   pg     celery
api      io    yes both  must     large | fastapi async large  feature pg     celery
api      io    no  -     none     -     | fastapi sync  medium layer   sqlite none
api      io    no  -     short    -     | fastapi sync  medium layer   sqlite background
api      io    no  -     none     small | flask   sync  small  -       none   none
api      io    no  -     short    small | flask   sync  small  -       none   none
api      io    no  redis must     small | flask   sync  small  -       none   celery
api      io    no  pg    none     large | fastapi sync  large  feature pg     none
api      cpu   yes -     none     -     | fastapi sync  medium layer   sqlite none
api      cpu   yes -     none     small | fastapi sync  small  -       none   none
api      cpu   yes redis must     -     | fastapi sync  medium layer   sqlite celery
api      cpu   yes pg    short    large | fastapi sync  large  feature pg     background
api      mixed yes -     none     -     | fastapi async medium layer   sqlite none
api      mixed no  -     must     -     | fastapi sync  medium layer   sqlite celery
api      mixed no  -     none     small | flask   sync  small  -       none   none
admin    io    yes -     none     -     | django  async medium feature sqlite none
admin    io    yes -     short    -     | django  async medium feature sqlite none
admin    io    no  -     none     -     | django  sync  medium feature sqlite none
admin    io    no  both  must     -     | django  sync  medium feature pg     celery
admin    io    yes redis schedule large | django  async large  feature sqlite celery
admin    cpu   yes -     none     -     | django  sync  medium feature sqlite none
admin    mixed no  pg    must     large | django  sync  large  feature pg     celery
site     io    yes -     none     -     | django  sync  medium feature sqlite none
site     io    yes -     must     -     | django  sync  medium feature sqlite celery
site     io    yes -     short    -     | django  sync  medium feature sqlite none
site     io    yes pg    none     large | django  sync  large  feature pg     none
site     io    yes redis short    -     | django  sync  medium feature sqlite celery
site     io    yes both  schedule large | django  sync  large  feature pg     celery
ml       mixed yes -     none     -     | fastapi async medium layer   none   none
ml       mixed yes -     short    -     | fastapi async medium layer   none   background
ml       mixed yes -     must     -     | fastapi async medium layer   none   celery
ml       mixed no  -     none     -     | fastapi sync  medium layer   none   none
ml       cpu   yes -     none     -     | fastapi sync  medium layer   none   none
ml       mixed yes redis short    -     | fastapi async medium layer   none   celery
ml       mixed yes pg    none     large | fastapi async large  feature pg     none
ml       io    yes -     none     small | fastapi async small  -       none   none
ml       io    no  -     short    small | fastapi sync  small  -       none   background
learning io    no  -     none     -     | flask   sync  small  -       none   none
learning io    yes -     none     -     | flask   sync  small  -       none   none
learning io    no  -     none     medium| flask   sync  medium layer   sqlite none
learning io    no  pg    none     medium| flask   sync  medium layer   pg     none
learning io    no  redis must     -     | flask   sync  small  -       none   celery
script   io    yes -     none     -     | none    sync  small  -       none   none
script   io    yes -     none     medium| none    sync  medium layer   none   none
script   io    no  -     none     large | none    sync  large  feature none   none
script   cpu   yes -     none     -     | none    sync  small  -       none   none
script   cpu   no  -     none     medium| none    sync  medium layer   none   none
script   mixed no  -     none     -     | none    sync  small  -       none   none
script   io    yes redis must     -     | none    sync  small  -       none   none
worker   io    yes -     must     -     | none    async medium layer   none   celery
worker   io    no  -     must     -     | none    sync  medium layer   none   celery
worker   cpu   yes -     must     large | none    sync  large  feature none   celery
worker   mixed no  redis must     small | none    sync  small  -       none   celery
worker   io    yes redis schedule -     | none    async medium layer   none   celery
"""
CONTEXTS = [line for line in DECISIONS.splitlines() if line]
EXPECTED = ("framework", "concurrency", "size", "layout", "database", "worker")


@pytest.mark.parametrize("line", CONTEXTS)
def test_what_is_recommended_follows_from_the_context(line: str) -> None:
    context, expected = (part.split() for part in line.split("|"))
    purpose, workload, team, infrastructure, background, size = context
    runs = {"-": [], "pg": ["postgresql"], "both": ["redis", "postgresql"]}
    given = {
        "purpose": purpose,
        "workload": workload,
        "async_team": team == "yes",
        "infrastructure": runs.get(infrastructure, [infrastructure]),
        "background": background,
        **({} if size == "-" else {"size": size}),
    }
    answers = settle(SHAPE, given)

    found = [str(answers[name]).replace("postgresql", "pg") for name in EXPECTED]
    # A small project has no layout.
    pairs = zip(found, expected, strict=True)
    assert [one for one, right in pairs if right != "-"] == [
        right for right in expected if right != "-"
    ]


def test_the_table_has_no_default_for_all() -> None:
    assert len(CONTEXTS) >= 60
    columns = zip(*(line.split("|")[1].split() for line in CONTEXTS), strict=True)
    assert all(len(set(column)) > 1 for column in columns)


def contexts() -> Iterator[dict[str, Any]]:
    """Yield every way to answer what comes before the framework."""
    purposes = ("api", "admin", "site", "ml", "learning", "script", "worker")
    for purpose, workload, knows, runs, work, size in itertools.product(
        purposes,
        ("io", "cpu", "mixed"),
        (True, False),
        ([], ["redis"], ["postgresql"]),
        ("none", "short", "must", "schedule"),
        ("small", "medium"),
    ):
        # What is left to do does not depend on what takes the time.
        if work != "none" and (workload, knows) != ("io", True):
            continue
        if size == "medium" or purpose not in {"site", "admin"}:
            yield {
                "purpose": purpose,
                "workload": workload,
                "async_team": knows,
                "infrastructure": runs,
                "background": work,
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
        assert max(map(len, text.splitlines())) <= 79, text
        for name in [question.name, *answers.get("open_choices", [])]:
            if question.name in {"size", "framework", "own_choices"} and (
                advice := answers.get(f"recommended_{name}")
            ):
                assert advice["why"] in " ".join(text.split())


PROMPTS = (
    "What are you building",
    "What will it spend most of its time on",
    "Is the team experienced with async",
    "What runs already",
    "Which work is left to do after a response",
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
    command = [str(COPIER), "copy", str(family), str(by_hand)]
    with Terminal(command, {"PYTHONWARNINGS": "ignore"}) as terminal:
        for prompt in PROMPTS:
            terminal.wait_for(prompt)
            terminal.press(ENTER)
        seen = "\n".join(terminal.wait_for("See README.md for the rest"))
        assert terminal.wait() == 0

    assert "Open gaps, most important first" in seen
    answers = yaml.safe_load((by_hand / ".copier-answers.yml").read_text("utf-8"))
    expected = render({}, tmp_path / "defaults")
    defaults = yaml.safe_load((expected / ".copier-answers.yml").read_text("utf-8"))
    assert {**answers, "_src_path": ""} == {**defaults, "_src_path": ""}


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
    in_small = (small / "docs" / "decisions.md").read_text("utf-8")

    for number, title in enumerate(CHECKLIST, 1):
        assert f"\n## {number}. {title}: " in in_medium
        assert f"\n## {number}. {title}: " in in_small
    for project in (medium, small):
        assert "(docs/decisions.md)" in (project / "README.md").read_text("utf-8")


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


@pytest.mark.parametrize(
    ("answers", "command"),
    [
        (
            {"framework": "fastapi"},
            "cp .env.example .env  # and set DATABASE_URL and BR",
        ),
        ({"framework": "flask"}, "cp .env.example .env  # and set DATABASE_URL and BR"),
        (
            {"purpose": "admin"},
            "cp .env.example .env  # and set DATABASE_URL and BROKER_",
        ),
        (
            {"purpose": "site"},
            "cp .env.example .env  # and set DATABASE_URL and BROKER_",
        ),
        ({"purpose": "worker"}, "cp .env.example .env  # and set BROKER_URL there"),
        ({"size": "small"}, "export BROKER_URL=redis://127.0.0.1:6379/0"),
    ],
)
def test_what_runs_already_is_used(
    tmp_path: Path, answers: Mapping[str, Any], command: str
) -> None:
    runs = {"infrastructure": ["redis", "postgresql"], "background": "must"}
    project = render({**answers, **runs}, tmp_path / "project")

    readme = (project / "README.md").read_text("utf-8")
    start = readme.partition("## Start")[2].partition("\n## ")[0]
    assert command in start
    assert "docker" not in start
    if "DATABASE_URL" in command:
        assert "createdb --host 127.0.0.1 my_service\n" in start
        example = (project / ".env.example").read_text("utf-8")
        assert (
            "DATABASE_URL=postgresql://USER:PASSWORD@127.0.0.1:5432/my_serv" in example
        )
    if (project / "compose.yaml").exists():
        compose = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))
        # A port that is published would collide with the server's.
        for name in ("postgresql", "redis"):
            assert "ports" not in compose["services"].get(name, {})
