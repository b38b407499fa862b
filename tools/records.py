"""What the decision records say, for tests that read those of all cells."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.combinations import Cell, Question, find_cells, load_questions
from tools.memoising_renderer import Bulk
from tools.template import FAMILY_ROOT

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


def records() -> Iterator[Record]:
    """Yield the record of every cell, in turn with one of the circumstances."""
    bulk = Bulk(FAMILY_ROOT)
    for cell, more in zip(
        find_cells(FAMILY_ROOT), itertools.cycle(CIRCUMSTANCES), strict=False
    ):
        try:
            given = {**more, **cell.answers}
            yield Record(cell, given, bulk.answers(given))
        except ValueError:  # async for computing, an admin when small
            yield Record(cell, cell.answers, bulk.answers(cell.answers))
