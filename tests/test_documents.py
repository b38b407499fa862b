"""What the documents of the family show is what the template does."""

import re

from tools.combinations import find_combinations
from tools.documents import COMBINATIONS, describe, with_dialogue
from tools.questions import load_questions, settle
from tools.template import FAMILY_ROOT

README = (FAMILY_ROOT / "README.md").read_text("utf-8")
CHOOSING = (FAMILY_ROOT / "docs" / "choosing.md").read_text("utf-8")


def test_the_combinations_are_current() -> None:
    """Where not: ``python -m tools.documents`` writes them."""
    assert COMBINATIONS.read_text("utf-8") == describe(find_combinations(FAMILY_ROOT))


def test_the_question_that_lists_libraries_is_current() -> None:
    questions = load_questions(FAMILY_ROOT)

    assert with_dialogue(CHOOSING, "worker", questions) == CHOOSING


def test_the_recorded_dialogue_is_what_is_asked() -> None:
    questions = load_questions(FAMILY_ROOT)
    answers = settle(questions, {})
    shown = re.sub(r"\s+", " ", CHOOSING)
    recorded = [
        question
        for question in questions
        if question.is_put({**answers, "own_choices": ["worker"]})
        and not question.name.startswith(("project", "description", "author"))
    ]
    assert len(recorded) == 9
    for question in recorded:
        text = str(question.render(question.details["help"], answers))
        assert re.sub(r"\s+", " ", text).strip() in shown


def test_every_variant_is_in_the_table() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", README, re.MULTILINE)

    assert sorted(listed) == sorted(
        path.stem for path in (FAMILY_ROOT / "variants").glob("*.yml")
    )


def test_every_question_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|(?:[^|]*\|){2}$", README, re.MULTILINE)
    questions = load_questions(FAMILY_ROOT)
    choices = {question.name for question in questions if "choices" in question.details}

    # One ORM to choose from is no question yet.
    assert choices - {"orm"} <= set(rows)
