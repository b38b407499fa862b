"""The combinations of the matrix, derived from ``copier.yml``.

A combination is one valid set of structural answers. The hidden question ``structural``
lists the structural questions; their own ``when``, ``choices`` and validators decide
which answers are valid. The hidden question ``like`` names the values that bring the
projects of another value: those are no combinations of their own. No question is named
here, so a new framework or worker in ``copier.yml`` is in the matrix at once.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from python_patterns.questions import Question, load_questions

STRUCTURAL = "structural"
LIKE = "like"


class SelectionError(ValueError):
    """A selection that names no combination; the message is one sentence for people."""


@dataclass(frozen=True)
class Combination:
    """One valid set of structural answers.

    Attributes:
        answers: The structural answers that are asked, in the order of the question
            ``structural``. A question that is hidden in this combination is left out:
            its default applies.
    """

    answers: Mapping[str, str]

    @property
    def id(self) -> str:
        """The answers joined by hyphens, for example ``fastapi-small-sync-none``.

        What was answered with yes is in it by its name, and with no not at all.
        """
        return "-".join(
            name if answer == "yes" else answer
            for name, answer in self.answers.items()
            if answer != "no"
        )


def as_word(value: object) -> str:
    """Return an answer as a word of a combination: yes or no where the question is one.

    Args:
        value: The answer.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _walk(
    questions: Sequence[Question],
    axes: Iterable[str],
    like: Mapping[str, Mapping[str, str]],
    answers: dict[str, Any],
) -> Iterator[dict[str, str]]:
    """Yield the structural answers of each valid way through the questions."""
    for index, question in enumerate(questions):
        if question.name in axes and question.is_asked(answers):
            for value in question.valid_values(answers):
                if value in like.get(question.name, ()):
                    continue
                known = {**answers, question.name: value}
                for rest in _walk(questions[index + 1 :], axes, like, known):
                    yield {question.name: as_word(value), **rest}
            return
        answers = {**answers, question.name: question.default(answers)}
    yield {}


def _as_computed(value: object) -> Mapping[str, Any]:
    kind = "str" if isinstance(value, str) else "yaml"
    return {"when": False, "type": kind, "default": value}


def find_combinations(
    root: Path, fixed: Mapping[str, Any] | None = None
) -> list[Combination]:
    """List every combination of a template family, in the order of its questions.

    Questions that are not structural take their defaults, which must leave all
    structural choices open.

    Args:
        root: Directory that holds ``copier.yml``.
        fixed: Answers for questions that are not structural, instead of defaults.

    Returns:
        The combinations, each once.

    Raises:
        ValueError: There is no question ``structural``, or it names an unknown one.
    """
    questions = load_questions(root)
    names = [question.name for question in questions]
    if STRUCTURAL not in names:
        raise ValueError(f"{root / 'copier.yml'} has no question {STRUCTURAL!r}.")
    axes = questions[names.index(STRUCTURAL)].default({})
    like = questions[names.index(LIKE)].default({}) if LIKE in names else {}
    if unknown := [name for name in axes if name not in names]:
        raise ValueError(f"{STRUCTURAL!r} names no question: {', '.join(unknown)}.")
    # Computed answers behind the last axis decide nothing; they are most of the work.
    last = max(names.index(name) for name in axes)
    relevant = [
        replace(question, details=_as_computed(fixed[question.name]))
        if fixed and question.name in fixed
        else question
        for question in questions[: last + 1]
    ]
    return [
        Combination({name: found[name] for name in axes if name in found})
        for found in _walk(relevant, axes, like, {})
    ]


def values_of(combinations: Sequence[Combination]) -> dict[str, list[str]]:
    """List the values that each structural answer has, in the order they occur.

    Args:
        combinations: The combinations to look at.
    """
    found: dict[str, dict[str, None]] = {}  # sets that keep the order
    for combination in combinations:
        for name, value in combination.answers.items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def _refuse_unknown(
    combinations: Sequence[Combination],
    ids: set[str],
    wanted: Mapping[str, Sequence[str]],
) -> None:
    values = values_of(combinations)
    for unknown in sorted(ids - {combination.id for combination in combinations}):
        name, known = next(iter(values.items()))
        raise SelectionError(
            f"There is no combination {unknown!r}: give a combination's id, or answers "
            f"such as {name}={known[0]}."
        )
    for name, wishes in wanted.items():
        if name not in values:
            raise SelectionError(
                f"There is no structural answer {name!r}: take {', '.join(values)}."
            )
        for value in wishes:
            if value not in values[name]:
                raise SelectionError(
                    f"{name} is never {value!r}: take {', '.join(values[name])}."
                )


def select(
    combinations: Sequence[Combination], words: Iterable[str]
) -> list[Combination]:
    """Choose combinations by their answers or ids.

    Args:
        combinations: The combinations to choose from.
        words: Each ``answer=value[,value…]``, all of which must hold, or the id of a
            combination. Several ids add up; without words all combinations are chosen.

    Returns:
        The chosen combinations, in the order of ``combinations``; never none.

    Raises:
        SelectionError: A word names an unknown answer, value or id, or the words
            together leave no combination.
    """
    words = list(words)
    ids = {word for word in words if "=" not in word}
    wanted: dict[str, list[str]] = {}
    for word in words:
        if "=" in word:
            name, _, text = word.partition("=")
            wanted.setdefault(name, []).extend(text.split(","))
    _refuse_unknown(combinations, ids, wanted)
    chosen = [
        combination
        for combination in combinations
        if (not ids or combination.id in ids)
        and all(combination.answers.get(name) in wanted[name] for name in wanted)
    ]
    if not chosen:
        raise SelectionError(f"No combination has {' '.join(words)} at once.")
    return chosen


def sample(combinations: Sequence[Combination], together: int = 2) -> list[Combination]:
    """Choose few combinations in which every pair of answers that occurs is seen.

    Most faults of a combination come from one answer or from two together. Each step
    takes the combination with the most pairs that are not in the sample yet, and of
    equals the first, so that the same combinations always give the same sample.

    Args:
        combinations: The combinations to choose from.
        together: How many answers have to be seen together, if not two.

    Returns:
        The chosen combinations, in the order of ``combinations``.
    """
    pairs = {
        combination.id: set(
            itertools.combinations(combination.answers.items(), together)
        )
        for combination in combinations
    }
    unseen = set().union(*pairs.values())
    chosen: set[str] = set()
    while unseen:
        best = max(
            pairs, key=lambda combination_id: len(pairs[combination_id] & unseen)
        )
        chosen.add(best)
        unseen -= pairs[best]
    return [combination for combination in combinations if combination.id in chosen]
