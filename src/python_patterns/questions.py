"""The questions of a template family, and copier's documented rules for them.

Copier has no public function that lists valid answers, and asking it about each
combination takes minutes. So the rules of its questions are applied here; a test
compares the result with what copier itself accepts.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import SandboxedEnvironment

FALSE_WORDS = {"", "n", "no", "f", "false", "off", "~", "null", "none", "0"}


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """A YAML loader that knows the tag ``!include`` as copier does."""

    root: Path

    def include(self, node: yaml.Node) -> list[Any]:
        pattern = str(self.construct_scalar(node))
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
class Choice:
    """One choice of a question.

    Attributes:
        label: What is shown.
        value: The answer that it gives.
        barred: Why it cannot be taken; empty if it can.
    """

    label: str
    value: Any
    barred: str


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

    def choices(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the choices by their labels, valid or not."""
        choices = self.details.get("choices", {})
        if isinstance(choices, str):
            choices = _from_yaml(str(self.render(choices, answers)))
        if isinstance(choices, dict):
            return choices
        pairs = (
            choice if isinstance(choice, (list, tuple)) else (choice, choice)
            for choice in choices
        )
        return {str(label): value for label, value in pairs}

    def offered(self, answers: Mapping[str, Any]) -> Iterator[Choice]:
        """Yield the choices, also those that cannot be taken."""
        for label, choice in self.choices(answers).items():
            barred: object = ""
            value = choice
            if isinstance(choice, dict):
                barred = self.render(choice.get("validator", ""), answers)
                value = choice["value"]
            value = self.cast(self.render(value, answers), answers)
            yield Choice(label, value, str(barred).strip())

    def error(self, value: object, answers: Mapping[str, Any]) -> str:
        """Return what the validator says of a value; nothing if it is valid."""
        rule = self.details.get("validator", "")
        return str(self.render(rule, {**answers, self.name: value})).strip()

    def valid_values(self, answers: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the choices that no validator bars."""
        for choice in self.offered(answers):
            if not choice.barred and not self.error(choice.value, answers):
                yield choice.value


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


def libraries_of(root: Path) -> dict[str, dict[str, Any]]:
    """Return the table of the libraries that run jobs, by the value of ``worker``.

    Args:
        root: Directory that holds ``copier.yml``.
    """
    questions = {question.name: question for question in load_questions(root)}
    found: dict[str, dict[str, Any]] = questions["libraries"].default({})
    return found
