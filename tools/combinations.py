"""The combinations of the matrix, derived from ``copier.yml``.

A combination is one valid set of structural answers. The hidden question ``structural``
lists the structural questions; their own ``when``, ``choices`` and validators decide
which answers are valid. No question is named here, so a new
framework or worker in ``copier.yml`` is in the matrix at once.

Copier has no public function that lists valid answers, and asking it about each
combination takes minutes. So the documented rules of its questions are applied here;
a test compares the result with what copier itself accepts.
"""

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import SandboxedEnvironment

STRUCTURAL = "structural"
FALSE_WORDS = {"", "n", "no", "f", "false", "off", "~", "null", "none", "0"}


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


class _Loader(yaml.SafeLoader):
    """A YAML loader that knows the tag ``!include`` as copier does."""

    root: Path

    def include(self, node: yaml.Node) -> list[Any]:
        pattern = str(self.construct_scalar(node))  # type: ignore[arg-type]
        return [
            document
            for path in sorted(self.root.glob(pattern))
            for document in yaml.load_all(path.read_bytes(), Loader=type(self))
        ]


_Loader.add_constructor("!include", _Loader.include)


def load_config(root: Path) -> dict[str, Any]:
    """Load ``copier.yml`` with all its documents and includes merged.

    Args:
        root: Directory that holds ``copier.yml``.

    Returns:
        Settings (names with a leading underscore) and questions, in the order of the
        files; of two entries with one name the later wins.

    Raises:
        OSError: There is no readable ``copier.yml``.
        yaml.YAMLError: A file is not YAML.
    """
    loader = type("Loader", (_Loader,), {"root": root})

    def merged(value: object) -> dict[str, Any]:
        if isinstance(value, list):
            return {key: val for item in value for key, val in merged(item).items()}
        return value if isinstance(value, dict) else {}

    with (root / "copier.yml").open("rb") as stream:
        return merged(list(yaml.load_all(stream, Loader=loader)))


def _is_true(text: object) -> bool:
    return str(text).strip().lower() not in FALSE_WORDS


def _from_yaml(text: str) -> Any:  # noqa: ANN401
    # The parser in C, where there is one: computed answers are most of the work.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)  # noqa: S506 - both are safe


_CASTS: Mapping[str, Callable[[Any], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _is_true,
    "json": json.loads,
    "yaml": _from_yaml,
    "path": str,
}


@functools.lru_cache(maxsize=4096)
def _template(jinja: jinja2.Environment, source: str) -> jinja2.Template:
    return jinja.from_string(source)


@dataclass(frozen=True)
class Question:
    """One question, with the parts of copier's rules that decide validity."""

    name: str
    details: Mapping[str, Any]
    jinja: jinja2.Environment

    def render(self, value: object, answers: Mapping[str, Any]) -> object:
        """Return a part of the question with its tags replaced."""
        if isinstance(value, list):
            return [self.render(item, answers) for item in value]
        if isinstance(value, str):
            return _template(self.jinja, value).render(answers)
        return value

    def is_asked(self, answers: Mapping[str, Any]) -> bool:
        """Return whether the question applies after the answers so far."""
        return _is_true(self.render(self.details.get("when", True), answers))

    def is_put(self, answers: Mapping[str, Any]) -> bool:
        """Return whether the question is asked interactively."""
        asked = _is_true(self.render(self.details.get("ask", True), answers))
        return asked and self.is_asked(answers)

    def cast(self, value: object, answers: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return a value with the type that the question says."""
        default = self.details.get("default")
        guessed = type(default).__name__
        kind = self.details.get("type", guessed if guessed in _CASTS else "yaml")
        cast = _CASTS[str(self.render(kind, answers))]
        is_parsed = cast in {json.loads, _from_yaml} and not isinstance(value, str)
        return value if is_parsed else cast(value)

    def default(self, answers: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the answer of those who give none.

        Raises:
            ValueError: It has to be answered.
        """
        if "default" not in self.details:
            message = f"The question {self.name} needs an answer: it has no default."
            raise ValueError(message)
        return self.cast(self.render(self.details["default"], answers), answers)

    def valid_values(self, answers: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the choices that no validator bars."""
        choices = self.details.get("choices", [])
        if isinstance(choices, str):
            choices = _from_yaml(str(self.render(choices, answers)))
        pairs = choices.items() if isinstance(choices, dict) else choices
        for choice in pairs:
            value = choice[1] if isinstance(choice, (list, tuple)) else choice
            barred: object = ""
            if isinstance(value, dict):
                barred = self.render(value.get("validator", ""), answers)
                value = value["value"]
            value = self.cast(self.render(value, answers), answers)
            rule = self.details.get("validator", "")
            error = self.render(rule, {**answers, self.name: value})
            if not str(barred).strip() and not str(error).strip():
                yield value


def load_questions(root: Path) -> list[Question]:
    """Load the questions of a template family, computed ones too, in their order.

    Args:
        root: Directory that holds ``copier.yml``.
    """
    config = load_config(root)
    options = dict(config.get("_envops", {}))
    options.setdefault("keep_trailing_newline", True)
    if options.pop("undefined", "") == "jinja2.StrictUndefined":
        options["undefined"] = jinja2.StrictUndefined
    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(root),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        **options,
    )
    environment.globals["pathjoin"] = lambda *parts: str(PurePosixPath(*parts))
    return [
        Question(
            name, value if isinstance(value, dict) else {"default": value}, environment
        )
        for name, value in config.items()
        if not name.startswith("_")
    ]


def as_word(value: object) -> str:
    """Return an answer as a word of a combination: yes or no where the question is one.

    Args:
        value: The answer.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _walk(
    questions: Sequence[Question], axes: Iterable[str], answers: dict[str, Any]
) -> Iterator[dict[str, str]]:
    """Yield the structural answers of each valid way through the questions."""
    for index, question in enumerate(questions):
        if question.name in axes and question.is_asked(answers):
            for value in question.valid_values(answers):
                known = {**answers, question.name: value}
                for rest in _walk(questions[index + 1 :], axes, known):
                    yield {question.name: as_word(value), **rest}
            return
        answers = {**answers, question.name: question.default(answers)}
    yield {}


def settle(questions: Iterable[Question], given: Mapping[str, Any]) -> dict[str, Any]:
    """Answer every question, computed ones too, as copier does with ``--defaults``.

    Args:
        questions: The questions, from ``load_questions``.
        given: Answers for those that make sense; the others take their defaults.
            Names that are no question, such as ``_src_path``, are kept.

    Returns:
        The answers by question.

    Raises:
        ValueError: A given answer is not among the valid choices.
    """
    answers = dict(given)
    for question in questions:
        if question.name not in given or not question.is_asked(answers):
            answers[question.name] = question.default(answers)
            continue
        value = question.cast(given[question.name], answers)
        if "choices" in question.details and not question.details.get("multiselect"):
            valid = list(question.valid_values(answers))
            if value not in valid:
                raise ValueError(f"{question.name} is {value!r}, not one of {valid}.")
        answers[question.name] = value
    return answers


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
        for found in _walk(relevant, axes, {})
    ]


def _refuse_unknown(
    combinations: Sequence[Combination],
    ids: set[str],
    wanted: Mapping[str, Sequence[str]],
) -> None:
    values: dict[str, dict[str, None]] = {}  # a set that keeps the order
    for combination in combinations:
        for name, value in combination.answers.items():
            values.setdefault(name, {})[value] = None
    for unknown in sorted(ids - {combination.id for combination in combinations}):
        name, known = next(iter(values.items()))
        raise SelectionError(
            f"There is no combination {unknown!r}: give a combination's id, or answers "
            f"such as {name}={next(iter(known))}."
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
