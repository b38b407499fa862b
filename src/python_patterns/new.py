"""``patterns new``: a project from answers, or from a dialogue with a way back."""

import difflib
import importlib.metadata
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import url2pathname

import jinja2
import questionary
import yaml
from copier.errors import CopierError
from packaging.version import InvalidVersion, Version
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings

from python_patterns import git
from python_patterns.answers import answers_of, clone_address, one_line
from python_patterns.git import GitError
from python_patterns.grow.report import RefusedError
from python_patterns.questions import Choice, Question, load_config, load_questions
from python_patterns.render import fast_libraries, render

DISTRIBUTION = "python-patterns"
# What goes back to the question before.
BACK_KEY = "s-tab"


class _Back:
    """What a prompt returns when the user wants the question before."""


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        destination: Directory of the project.
        source: The template, as copier takes it.
        version: A tag, branch or commit of the template.
        given: Answers that are known before anything is asked, by question.
        asks: Whether to ask for the others.
    """

    destination: Path
    source: str
    version: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    asks: bool = True


def own_source() -> str | None:
    """Return the template that this command was installed from, if it says so.

    A repository or a directory is recorded as PEP 610 says.
    """
    try:
        text = importlib.metadata.distribution(DISTRIBUTION).read_text(
            "direct_url.json"
        )
    except importlib.metadata.PackageNotFoundError:
        return None
    record = json.loads(text or "{}")
    url = str(record.get("url", ""))
    if "vcs_info" in record:
        return f"{record['vcs_info']['vcs']}+{url}"
    return url2pathname(url.removeprefix("file://")) or None


def read_given(words: Sequence[str], file: Path | None) -> dict[str, Any]:
    """Read answers from the command line and from a file; the former win.

    Args:
        words: Each ``answer=value``.
        file: A YAML file, as copier's ``--data-file``.

    Raises:
        RefusedError: A word has no equals sign, or the file holds no answers.
    """
    found: dict[str, Any] = {}
    if file:
        try:
            found = yaml.safe_load(file.read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise RefusedError(f"{file} cannot be read: {one_line(error)}") from error
        if not isinstance(found, dict):
            raise RefusedError(
                f"{file} holds no answers: write one answer: value a line"
            )
    return {**found, **answers_of(words)}


class _Dialogue:
    """Settles all questions of a template, in their order."""

    def __init__(
        self, questions: Sequence[Question], order: Order, names: Mapping[str, str]
    ) -> None:
        self.questions = questions
        self.order = order
        # Better defaults of names, for those who are asked.
        self.names = names
        self.said: dict[str, Any] = {}
        self.asked: list[str] = []

    def refuse_unknown(self) -> None:
        """Refuse answers to questions that do not exist."""
        known = [
            one.name for one in self.questions if one.details.get("when") is not False
        ]
        for name in self.order.given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f": did you mean {near[0]}" if near else ""
                raise RefusedError(f"there is no question {name!r}{hint}")

    def settle(self) -> dict[str, Any]:
        """Answer every question, and ask what is to be asked.

        Returns:
            All answers, computed ones too.

        Raises:
            RefusedError: A given answer is not valid.
            KeyboardInterrupt: The user stopped.
        """
        while True:
            answers: dict[str, Any] = {}
            self.asked = []
            is_back = False
            for question in self.questions:
                answer = self._answer(question, answers)
                if isinstance(answer, _Back):
                    is_back = True
                    break
                answers[question.name] = answer
            if not is_back:
                return answers
            # Without the last answer, its question is the first that is asked again.
            if self.asked:
                self.said.pop(self.asked[-1])

    def _answer(self, question: Question, answers: Mapping[str, Any]) -> Any:  # noqa: ANN401
        name = question.name
        if not question.is_asked(answers):
            return question.default(answers)
        if name in self.order.given:
            return self._valid(question, self.order.given[name], answers)
        if not self.order.asks or not question.is_put(answers):
            return question.default(answers)
        if name in self.said:
            # What was said before a way back may not fit any more.
            if self._error(question, self.said[name], answers) is None:
                self.asked.append(name)
                return self.said[name]
            self.said.pop(name)
        answer = _ask(question, answers, self.names.get(name), self._error)
        if isinstance(answer, _Back):
            return answer
        self.said[name] = answer
        self.asked.append(name)
        return answer

    def _valid(
        self, question: Question, given: object, answers: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401
        if question.details.get("multiselect") and isinstance(given, str):
            given = [
                word.strip() for word in given.strip("[]").split(",") if word.strip()
            ]
        try:
            value = question.cast(given, answers)
        except (ValueError, yaml.YAMLError) as error:
            raise RefusedError(
                f"{question.name} cannot be {given!r}: {one_line(error)}"
            ) from error
        if reason := self._error(question, value, answers):
            raise RefusedError(f"{question.name} cannot be {given!r}: {reason}")
        return value

    @staticmethod
    def _error(
        question: Question, value: object, answers: Mapping[str, Any]
    ) -> str | None:
        """Say why a value is not valid, in one sentence without its full stop."""
        choices = [*question.offered(answers)]
        values = value if question.details.get("multiselect") else [value]
        for one in values if choices and isinstance(values, list) else ():
            barred = [choice.barred for choice in choices if choice.value == one]
            if not barred:
                valid = [str(choice.value) for choice in choices if not choice.barred]
                return f"take {', '.join(valid)}"
            if barred[0]:
                return one_line(barred[0])
        return one_line(question.error(value, answers)).removesuffix(".") or None


def _ask(
    question: Question,
    answers: Mapping[str, Any],
    better: str | None,
    error: Callable[[Question, object, Mapping[str, Any]], str | None],
) -> Any:  # noqa: ANN401
    """Ask one question in the terminal.

    Args:
        question: The question.
        answers: The answers before it.
        better: A default in place of the template's.
        error: Says why an answer is not valid.

    Returns:
        The answer, or a ``_Back``.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    default = question.default(answers)
    if better is not None and error(question, better, answers) is None:
        default = better
    text = str(question.render(question.details.get("help", question.name), answers))
    # What is answered stands below.
    text = f"{text.strip()}\n "
    choices = [*question.offered(answers)]
    titles = {
        json.dumps(choice.value): questionary.Choice(
            choice.label,
            choice,
            disabled=one_line(choice.barred) or None,
            checked=isinstance(default, list) and choice.value in default,
        )
        for choice in choices
    }
    if question.details.get("multiselect"):
        prompt = questionary.checkbox(
            text, [*titles.values()], instruction="(space selects, Enter goes on)"
        )
    elif choices:
        prompt = questionary.select(
            text,
            [*titles.values()],
            default=titles.get(json.dumps(default)),
            instruction="(arrow keys, Enter)",
        )
    elif isinstance(default, bool):
        prompt = questionary.confirm(text, default=default)
    else:
        # Typing replaces what is proposed; Enter takes it.
        prompt = questionary.text(
            text,
            placeholder=[("fg:ansibrightblack", str(default))],
            validate=lambda typed: error(question, typed or default, answers) or True,
        )
    answer = _run(prompt)
    if isinstance(answer, Choice):
        return answer.value
    if isinstance(answer, list):
        return [choice.value for choice in answer]
    return default if answer == "" else answer


def _run(prompt: questionary.Question) -> Any:  # noqa: ANN401
    keys = KeyBindings()

    def go_back(event: KeyPressEvent) -> None:
        event.app.erase_when_done = True
        event.app.exit(result=_Back())

    keys.add(BACK_KEY, eager=True)(go_back)
    own = prompt.application.key_bindings
    prompt.application.key_bindings = merge_key_bindings([own, keys] if own else [keys])
    return prompt.unsafe_ask()


def better_names(destination: Path) -> dict[str, str]:
    """Propose names: the project's from its directory, the author's from git.

    Args:
        destination: Directory of the project.
    """
    words = re.findall(r"[^\W_]+", destination.name)
    found = {"project_name": " ".join(words).title()} if words else {}
    for name, setting in (("author_name", "user.name"), ("author_email", "user.email")):
        command = ("git", "config", "--get", setting)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return found
        if value := done.stdout.strip():
            found[name] = value
    return found


def advice(answers: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """List what the template recommends, and why.

    Args:
        answers: All answers, computed ones too.

    Yields:
        The question, the recommended value and the reason.
    """
    for name in ("framework", "size"):
        found = answers[f"recommended_{name}"]
        yield name, found["value"], found["why"]
    has_tables = answers["recommended"]["database"]["value"] != "none"
    for name, found in answers["recommended"].items():
        if name == "orm" and not has_tables:
            continue
        if name == "concurrency" or name in answers["open_choices"]:
            yield name, found["value"], found["why"]


def explained(answers: Mapping[str, Any], *, is_json: bool) -> str:
    """Return what the template recommends, and why, for people or for programs.

    Args:
        answers: All answers, computed ones too.
        is_json: Whether for programs.
    """
    if is_json:
        rows = {
            name: {"value": value, "why": why} for name, value, why in advice(answers)
        }
        return json.dumps(rows, indent=2, ensure_ascii=False)
    called = answers["called"]
    lines = [
        f"{name}: {called[name][value]}. {why}" for name, value, why in advice(answers)
    ]
    return "\n".join(lines)


def summary(ready: "New") -> str:
    """Return the answers that make the project, a line each."""
    lines = []
    for question in ready.questions:
        name, value = question.name, ready.answers[question.name]
        is_shape = name in ready.answers["structural"]
        if name in ready.asked or (is_shape and question.is_asked(ready.answers)):
            words = value if isinstance(value, list) else [value]
            lines.append(f"  {name:<15} {', '.join(map(str, words)) or 'none'}")
    return "\n".join(lines)


def is_confirmed(ready: "New") -> bool:
    """Ask whether to write the project.

    Raises:
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    where = f"Write the project to {ready.order.destination}?"
    return bool(questionary.confirm(where).unsafe_ask())


def _refuse_full(destination: Path) -> None:
    if destination.is_dir():
        if any(destination.iterdir()):
            raise RefusedError(
                f"{destination} is not empty: name a new or an empty directory"
            )
    elif destination.exists():
        raise RefusedError(f"{destination} is a file: name a directory")


@dataclass(frozen=True)
class New:
    """A template whose questions are answered, before a project is written.

    Attributes:
        order: What was asked for.
        root: Where the template lies.
        is_clone: Whether this is the clone that copier would make.
        questions: The template's questions.
        answers: All answers, computed ones too.
        asked: The questions that the user answered, in their order.
    """

    order: Order
    root: Path
    is_clone: bool
    questions: Sequence[Question]
    answers: Mapping[str, Any]
    asked: Sequence[str]

    def write(self) -> str:
        """Write the project, and return what to do next.

        Raises:
            RefusedError: The template is not one that this copier can render.
        """
        order = self.order
        # As they were read: copier takes no words for a list.
        said = {name: self.answers[name] for name in (*order.given, *self.asked)}
        try:
            rendered = render(
                order.source,
                said,
                order.destination,
                version=order.version,
                clone=self.root if self.is_clone else None,
            )
        except (CopierError, jinja2.TemplateError, ValueError, OSError) as error:
            raise RefusedError(one_line(error).removesuffix(".")) from error
        known = SimpleNamespace(dst_path=order.destination)
        text = load_config(self.root)["_message_after_copy"]
        combined = {
            **rendered.values,
            "_copier_conf": known,
            "_copier_answers": {"_src_path": order.source},
        }
        return str(self.questions[0].render(text, combined)).strip("\n")


def _newest(tags: Iterable[str]) -> str | None:
    """Return the newest version, as copier chooses it."""
    versions = {}
    for tag in tags:
        with suppress(InvalidVersion):
            versions[Version(tag)] = tag
    released = [version for version in versions if not version.is_prerelease]
    return versions[max(released)] if released else None


def _at_hand(order: Order, scratch: Path) -> tuple[Path, bool]:
    """Return a directory of the template, at the version that is asked for.

    Also return whether copier would clone the same: from a local repository without
    versions, it takes what is not committed too.
    """
    source = Path(order.source)
    if source.is_dir() and not (source / ".git").exists():
        if order.version:
            raise RefusedError(f"{source} is not in git, so it has no {order.version}")
        return source, False
    url = clone_address(order.source)
    tree = scratch / "template"
    try:
        # A repository on this machine is not copied for a clone that is soon deleted.
        clone = ("clone", "--quiet", "--no-checkout", "--shared", url, tree.name)
        git.run(*clone, directory=scratch)
        tags = git.run("tag", directory=tree).decode().split()
        version = order.version or _newest(tags) or "HEAD"
        git.run("checkout", "--quiet", version, directory=tree)
        is_same = not (
            version == "HEAD"
            and source.is_dir()
            and git.run("status", "--porcelain", directory=source)
        )
    except GitError as error:
        raise RefusedError(
            f"the template {order.source} cannot be read"
            f"{f' at {order.version}' if order.version else ''}: {one_line(error)}"
        ) from error
    return tree, is_same


@contextmanager
def prepared(order: Order, scratch: Path) -> Iterator[New]:
    """Settle the questions of a template; nothing is written.

    Args:
        order: What is asked for.
        scratch: An empty directory.

    Yields:
        What can be written, while the template is at hand.

    Raises:
        RefusedError: An answer is not valid, the directory is not empty, or the
            template cannot be read.
        KeyboardInterrupt: The user stopped.
    """
    _refuse_full(order.destination)
    with fast_libraries():
        root, is_clone = _at_hand(order, scratch)
        try:
            questions = load_questions(root)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise RefusedError(
                f"the template {order.source} cannot be read: {one_line(error)}"
            ) from error
        names = better_names(order.destination) if order.asks else {}
        dialogue = _Dialogue(questions, order, names)
        dialogue.refuse_unknown()
        answers = dialogue.settle()
        yield New(order, root, is_clone, questions, answers, dialogue.asked)
