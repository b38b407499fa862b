"""What the decision records say, for tests that read those of all combinations."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.combinations import Combination, find_combinations
from tools.memoising_renderer import MemoisingRenderer
from tools.questions import Question, load_questions
from tools.template import FAMILY_ROOT

GROW = "uvx --from TEMPLATE patterns grow "
# Answers that change what a record says of one combination.
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
        combination: The project's combination.
        given: The answers that were given, the others take their defaults.
        answers: All answers, with ``decisions`` and ``gaps``.
    """

    combination: Combination
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
    """Yield the record of every combination, in turn with one of the circumstances."""
    renderer = MemoisingRenderer(FAMILY_ROOT)
    for combination, more in zip(
        find_combinations(FAMILY_ROOT), itertools.cycle(CIRCUMSTANCES), strict=False
    ):
        try:
            given = {**more, **combination.answers}
            yield Record(combination, given, renderer.answers(given))
        except ValueError:  # async for computing, an admin when small
            yield Record(
                combination, combination.answers, renderer.answers(combination.answers)
            )
