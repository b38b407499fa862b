"""What the decision records say, for tests that read those of all combinations."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from python_patterns.questions import Question, load_questions
from tools.combinations import Combination, find_combinations
from tools.memoising_renderer import MemoisingRenderer
from tools.template import FAMILY_ROOT

GROW = "uvx --from TEMPLATE patterns grow "
# Answers that change what a record says of one combination.
CIRCUMSTANCES: tuple[Mapping[str, Any], ...] = (
    {},
    {"async_team": False, "infrastructure": ["redis", "postgresql"]},
    {"background": "must"},
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


def decisions_of(
    renderer: MemoisingRenderer, answers: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the decisions of a project's record, as its templates read them.

    Args:
        renderer: Renders projects of the family.
        answers: All answers of the project.
    """
    template = renderer.jinja.get_template("computed/decisions.jinja")
    found: list[dict[str, Any]] = yaml.safe_load(template.render(answers))
    return found


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
        given: Mapping[str, Any] = {**more, **combination.answers}
        try:
            answers = renderer.answers(given)
        except ValueError:  # async for computing, an admin when small
            given = combination.answers
            answers = renderer.answers(given)
        answers["decisions"] = decisions_of(renderer, answers)
        yield Record(combination, given, answers)
