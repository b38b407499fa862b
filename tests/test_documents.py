"""What the documents of the family show is what the template does."""

import re
from pathlib import Path

import pytest

from python_patterns.questions import load_questions
from tools.combinations import find_combinations
from tools.dialogues import Moment, document, moments
from tools.documents import COMBINATIONS, WHICH, describe, examples, with_dialogues
from tools.template import FAMILY_ROOT, render
from tools.terminal import COLUMNS, LINES

README = (FAMILY_ROOT / "README.md").read_text("utf-8")
COMING_FROM = (FAMILY_ROOT / "docs" / "coming-from.md").read_text("utf-8")
CHOOSING = (FAMILY_ROOT / "docs" / "choosing.md").read_text("utf-8")


def test_the_combinations_are_current() -> None:
    """Where not: ``python -m tools.documents`` writes them."""
    assert COMBINATIONS.read_text("utf-8") == describe(find_combinations(FAMILY_ROOT))


def test_the_examples_are_current() -> None:
    """Where not: ``python -m tools.documents`` writes them."""
    assert WHICH.read_text("utf-8") == examples()


SECTION = re.compile(
    r"^patterns new \S+ ([^\n]+)$.*?^(\|.+?)\n\n", re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(("words", "table"), SECTION.findall(COMING_FROM))
def test_what_other_templates_have_is_where_the_document_says(
    tmp_path: Path, words: str, table: str
) -> None:
    answers = dict(word.split("=") for word in words.split() if "=" in word)
    project = render(answers, tmp_path)
    for row in table.splitlines()[2:]:
        here = row.split("|")[2]
        for name in re.findall(r"`([\w./-]+)`", here):
            is_path = "/" in name.strip("/") or name.endswith((".py", ".md", ".yaml"))
            if is_path and not name.startswith(
                ("/", "models", "views", "forms", "urls")
            ):
                assert (project / name).exists() or name == "admin.py", row


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory: pytest.TempPathFactory) -> list[Moment]:
    """Hold the dialogues of the document in a terminal."""
    return [*moments(FAMILY_ROOT, tmp_path_factory.mktemp("dialogues"))]


def test_the_dialogues_are_what_is_asked(dialogues: list[Moment]) -> None:
    """Where not: ``python -m tools.documents`` writes them."""
    assert with_dialogues(CHOOSING, document(dialogues)) == CHOOSING


def test_no_line_of_a_dialogue_is_cut(dialogues: list[Moment]) -> None:
    for moment in dialogues:
        # What wraps or is cut fills its line.
        assert max(map(len, moment.lines)) < COLUMNS, moment.title
        start = max(
            number for number, line in enumerate(moment.lines) if moment.prompt in line
        )
        shown = [line for line in moment.lines[start:] if line]
        assert len(shown) <= LINES, shown
        # The whole question is there, to its choices.
        assert any(line.startswith((" »", "   (Y/n)")) for line in shown), shown


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
