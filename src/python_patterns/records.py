"""What the decision records say, for tests that read those of all cells."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from python_patterns.cells import Cell, Question, find_cells, load_questions, settle
from python_patterns.render import FAMILY_ROOT

GROW = "uvx --from TEMPLATE patterns grow "
# Answers that change what a record says of one cell.
CIRCUMSTANCES: tuple[Mapping[str, Any], ...] = (
    {},
    {"async_team": False, "infrastructure": ["redis", "postgresql"]},
    {"needs_admin": True},
    {"workload": "cpu"},
)


@dataclass(frozen=True)
class Record:
    """What the record of one project is written from.

    Attributes:
        cell: The project's cell.
        given: The answers that were given, the others take their defaults.
        answers: All answers, with ``decisions`` and ``gaps``.
    """

    cell: Cell
    given: Mapping[str, Any]
    answers: Mapping[str, Any]

    @property
    def changes(self) -> list[Sequence[str]]:
        """The answers that its commands change, as ``answer=value``."""
        return [
            other["changes"]
            for item in self.answers["decisions"]
            for other in item["alternatives"]
            if "changes" in other
        ]

    @property
    def next_steps(self) -> list[str]:
        """The commands of its gaps."""
        return [gap["command"] for gap in self.answers["gaps"]]

    @property
    def commands(self) -> list[str]:
        """All of its commands, each once."""
        growing = [GROW + " ".join(changes) for changes in self.changes]
        return list(dict.fromkeys([*growing, *self.next_steps]))


def shape() -> list[Question]:
    """List the questions that decide the shape; the rest is computed of them."""
    questions = load_questions(FAMILY_ROOT)
    names = [question.name for question in questions]
    return questions[: names.index("structural") + 1]


def _needed() -> list[Question]:
    """List the questions that a record is computed from, and no others: in seconds."""
    sources = (FAMILY_ROOT / "includes" / "decisions").glob("*.jinja")
    text = " ".join(path.read_text("utf-8") for path in sources)
    needed = {question.name for question in shape()} | {"decisions", "gaps"}
    questions = load_questions(FAMILY_ROOT)
    for question in reversed(questions):
        if question.name in needed or re.search(rf"\b{question.name}\b", text):
            needed.add(question.name)
            text += str(question.details)
    return [question for question in questions if question.name in needed]


def records() -> Iterator[Record]:
    """Yield the record of every cell, in turn with one of the circumstances."""
    questions = _needed()
    for cell, more in zip(
        find_cells(FAMILY_ROOT), itertools.cycle(CIRCUMSTANCES), strict=False
    ):
        try:
            given = {**more, **cell.answers}
            yield Record(cell, given, settle(questions, given))
        except ValueError:  # async for computing, an admin when small
            yield Record(cell, cell.answers, settle(questions, cell.answers))
