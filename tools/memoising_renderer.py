"""Render many projects of one template, and compute what they have in common once.

Projects are rendered by copier, in ``python_patterns.render``; this is the memory for
runs that render hundreds. A large project takes copier 340 ms; here each of the 738
combinations takes 19 ms, with its files written. Copier has no place where results
could be kept between its answers and its files, so its documented rules for paths and
files are applied here, as those of its questions are in ``questions``. The matrix
renders a sample of its projects with copier too, and reports any difference.

The result of a file depends on the few answers that it reads, and most projects share
them. So each result is stored with the answers that were read for it, in their order: a
project with the same answers has the same result. That is safe because a template sees
nothing but its answers, and ``_Context`` and ``_Answers`` note whatever it reads.
"""

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from jinja2.runtime import Context
from jinja2.utils import missing

from python_patterns.questions import Question, load_config, load_questions, settle
from tools.template import seconds_of

SUFFIX = ".jinja"
# The one tag that Jinja does not have: a part of a path that stands for several.
YIELD = re.compile(r"\{% yield (\w+) from (.+?) %\}(.*)\{% endyield %\}")
BETWEEN = "\0"

type Place = tuple[str, ...]

# Ends the place of nested answers of which not one was read, but all.
_ALL = "(all)"
_NESTED = "(nested)"


def _plain(value: object) -> object:
    if isinstance(value, _Answers):
        return {key: _plain(one) for key, one in dict.items(value)}
    return value


def _mark(value: object) -> object:
    """Return what is equal for two values only where they are the same."""
    if isinstance(value, str):
        return value
    if isinstance(value, _Answers):
        return (_NESTED,)
    return (repr(value),)


def _mark_at(answers: Mapping[str, Any], place: Place) -> object:
    value: Any = answers
    for key in place:
        if key is _ALL:
            return (repr(_plain(value)),)
        value = dict.get(value, key, missing) if isinstance(value, dict) else missing
    return _mark(value)


@dataclass(frozen=True)
class _Read:
    """An answer that is read next, and what follows from each of its values."""

    place: Place
    following: dict[object, Any]


class Memory:
    """Results, by the answers that they were computed from."""

    def __init__(self) -> None:
        """Begin empty."""
        self._known: dict[object, Any] = {}
        self._reads: dict[Place, object] = {}
        self._answers: Mapping[str, Any] = {}

    def clear(self) -> None:
        """Forget all results."""
        self._known.clear()

    def result[T](
        self, name: object, answers: Mapping[str, Any], compute: Callable[[], T]
    ) -> T:
        """Return what a computation gives, from memory where it is known.

        Args:
            name: What is computed.
            answers: All that the computation may read, through this memory.
            compute: Computes it; the result must not be changed.
        """
        found = self._known.get(name, missing)
        while isinstance(found, _Read):
            found = found.following.get(_mark_at(answers, found.place), missing)
        if found is not missing:
            return cast("T", found)
        self._reads, self._answers = {}, answers
        result = compute()
        self._keep(name, result)
        return result

    def _keep(self, name: object, result: object) -> None:
        known, key = self._known, name
        for place, mark in self._reads.items():
            read = known.setdefault(key, _Read(place, {}))
            if not isinstance(read, _Read) or read.place != place:
                return  # it read in another order, which no template does: forget it
            known, key = read.following, mark
        known[key] = result

    def see(self, name: str, value: object) -> None:
        """Note that a name was looked up.

        Args:
            name: The name.
            value: What was found: an answer, a variable of the template, or nothing.
        """
        answer = self._answers.get(name, missing)
        if value is answer:
            self.note((name,), value)

    def note(self, place: Place, value: object) -> None:
        """Note that an answer was read, or found missing."""
        if place not in self._reads:
            self._reads[place] = _mark(value)

    def note_all(self, place: Place, answers: "_Answers") -> None:
        """Note that all nested answers were read at once."""
        self._reads.setdefault((*place, _ALL), (repr(_plain(answers)),))


class _Context(Context):
    """Notes each name that a template looks up."""

    def resolve_or_missing(self, key: str) -> Any:  # noqa: ANN401
        value = super().resolve_or_missing(key)
        self.environment.memory.see(key, value)  # type: ignore[attr-defined]
        return value


class _Answers(dict[str, Any]):
    """Nested answers, which note what is read of them."""

    __slots__ = ("_memory", "_place")

    def __init__(self, values: Mapping[str, Any], memory: Memory, place: Place) -> None:
        nested = {
            key: _noting(value, memory, (*place, key)) for key, value in values.items()
        }
        super().__init__(nested)
        self._memory = memory
        self._place = place

    def _note(self, key: str) -> None:
        value = dict.get(self, key, missing)
        self._memory.note((*self._place, key), value)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        self._note(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._note(cast("str", key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401
        self._note(key)
        return super().get(key, default)


def _reads_all(method: Callable[..., Any]) -> Callable[..., Any]:
    def noting(self: _Answers, *arguments: object) -> Any:  # noqa: ANN401
        self._memory.note_all(self._place, self)
        return method(self, *arguments)

    return noting


for _name in (
    *("__iter__", "__reversed__", "__len__", "__repr__", "__eq__", "__ne__"),
    *("__or__", "__ror__", "keys", "values", "items", "copy"),
):
    setattr(_Answers, _name, _reads_all(getattr(dict, _name)))


def _noting(value: Any, memory: Memory, place: Place) -> Any:  # noqa: ANN401
    return _Answers(value, memory, place) if isinstance(value, dict) else value


@dataclass(frozen=True)
class _Question(Question):
    """A question whose parts are rendered once for the answers that they read."""

    memory: Memory

    def render(self, value: object, answers: Mapping[str, Any]) -> object:
        if not isinstance(value, str):
            return super().render(value, answers)
        if "{" not in value:
            return value
        compute = super().render
        return self.memory.result(value, answers, lambda: compute(value, answers))

    def cast(self, value: object, answers: Mapping[str, Any]) -> Any:  # noqa: ANN401
        def compute() -> Any:  # noqa: ANN401
            plain = Question.cast(self, value, answers)
            return _noting(plain, self.memory, (self.name,))

        if not isinstance(value, str):
            return compute()
        return self.memory.result(("cast", self.name, value), answers, compute)


@dataclass(frozen=True)
class File:
    """One file of a project.

    Attributes:
        content: Its bytes.
        mode: Its permissions.
    """

    content: bytes
    mode: int

    @cached_property
    def digest(self) -> str:
        """What stands for its bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def seconds(self) -> int:
        """The modification time that it is given, in seconds since 1970."""
        return seconds_of(self.content)


@dataclass(frozen=True)
class _Entry:
    """A file or directory of the template, in the order in which copier takes them."""

    part: str
    path: Path
    entries: "list[_Entry] | None"


def _entries(directory: Path) -> list[_Entry]:
    names = {entry.name for entry in os.scandir(directory)}
    return [
        _Entry(
            entry.name.removesuffix(SUFFIX),
            Path(entry.path),
            _entries(Path(entry.path)) if entry.is_dir() else None,
        )
        for entry in os.scandir(directory)
        if f"{entry.name}{SUFFIX}" not in names
    ]


class MemoisingRenderer:
    """Renders projects of a template family, and remembers what it rendered."""

    def __init__(self, family: Path) -> None:
        """Read the questions and the names of the template.

        Args:
            family: Directory that holds ``copier.yml``; it must not change from now on.
        """
        config = load_config(family)
        self.family = family
        self.memory = Memory()
        questions = load_questions(family)
        self.jinja = questions[0].jinja
        self.jinja.context_class = _Context
        self.jinja.cache = {}  # room for all templates: there are more than 400
        self.jinja.memory = self.memory  # type: ignore[attr-defined]
        self.questions = [
            _Question(one.name, one.details, self.jinja, self.memory)
            for one in questions
        ]
        self.answers_file = config["_answers_file"]
        self.entries = _entries(family / config["_subdirectory"])

    def answers(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Answer every question, as ``questions.settle`` does.

        Args:
            given: Answers for questions that make sense; the others take defaults.

        Returns:
            The answers, with what copier adds for the file that records them.

        Raises:
            ValueError: An answer is not among the valid choices.
        """
        answers = settle(self.questions, given)
        recorded = {
            one.name: answers[one.name]
            for one in self.questions
            if one.is_asked(answers)
        }
        answers["_copier_answers"] = {"_src_path": str(self.family), **recorded}
        answers["_copier_conf"] = {"answers_file": self.answers_file}
        return answers

    def files(self, given: Mapping[str, Any]) -> dict[str, File | None]:
        """Render one project.

        Args:
            given: Answers for questions that make sense; the others take defaults.

        Returns:
            The files by name, with slashes; nothing for a directory.

        Raises:
            ValueError: An answer is not among the valid choices.
            jinja2.TemplateError: The template has a mistake.
        """
        answers = self.answers(given)
        found: dict[str, File | None] = {}
        for name, path in self._walk(self.entries, "", answers):
            if path is None:
                found.setdefault(name, None)
            else:
                found[name] = self._file(path, answers)
        return found

    def sources(self, answers: Mapping[str, Any]) -> dict[str, Path]:
        """Return the file of the template that each file of a project comes from.

        Args:
            answers: All answers, from ``answers``.
        """
        walked = self._walk(self.entries, "", answers)
        return {name: path for name, path in walked if path is not None}

    def _walk(
        self, entries: list[_Entry], directory: str, answers: Mapping[str, Any]
    ) -> Iterator[tuple[str, Path | None]]:
        """Yield names of files with their sources; a directory has none."""
        for entry in entries:
            for part in self._parts(entry.part, answers):
                name = posixpath.normpath(posixpath.join(directory, part))
                if name.startswith(".."):
                    raise ValueError(f"{entry.path} would be outside of the project.")
                yield name, entry.path if entry.entries is None else None
                if entry.entries is not None:
                    yield from self._walk(entry.entries, name, answers)

    def _parts(self, part: str, answers: Mapping[str, Any]) -> list[str]:
        """Return what a part of a path stands for: nothing, a part, or several."""
        if "{" not in part:
            return [part]
        source = part
        if several := YIELD.fullmatch(part):
            name, values, body = several.groups()
            source = f"{{% for {name} in {values} %}}{body}{BETWEEN}{{% endfor %}}"

        def compute() -> list[str]:
            text = self.jinja.from_string(source).render(answers)
            return [one for one in text.split(BETWEEN) if one]

        return self.memory.result(("part", part), answers, compute)

    def _file(self, path: Path, answers: Mapping[str, Any]) -> File:
        def compute() -> File:
            mode = stat.S_IMODE(path.stat().st_mode)
            if path.suffix != SUFFIX:
                return File(path.read_bytes(), mode)
            name = path.relative_to(self.family).as_posix()
            text = self.jinja.get_template(name).render(answers)
            return File(text.encode(), mode)

        return self.memory.result(path, answers, compute)

    def render(
        self,
        given: Mapping[str, Any],
        destination: Path,
        *,
        written: dict[File, str] | None = None,
    ) -> dict[str, File | None]:
        """Render one project into a directory, as ``render.render`` does.

        Args:
            given: Answers for questions that make sense; the others take defaults.
            destination: Directory of the project, created where it is missing.
            written: Where files are already, to which new ones are added. They are
                linked, which takes a tenth of the time: it is for projects in new
                directories that are not changed.

        Returns:
            The files by name, with slashes; nothing for a directory.

        Raises:
            ValueError: An answer is not among the valid choices.
            jinja2.TemplateError: The template has a mistake.
        """
        found = self.files(given)
        files = {name: file for name, file in found.items() if file is not None}
        directories = found.keys() - files.keys()
        directories |= {posixpath.dirname(name) for name in files}
        # Not by pathlib: this is the larger part of what a known project takes.
        for name in sorted(directories):
            os.makedirs(f"{destination}/{name}", exist_ok=True)  # noqa: PTH103
        for name, file in files.items():
            path = f"{destination}/{name}"
            if written is not None:
                try:
                    os.link(written[file], path)
                    continue
                except (KeyError, OSError):  # a new one, or one with too many links
                    written[file] = path
            with open(path, "wb", buffering=0) as stream:  # noqa: PTH123
                stream.write(file.content)
                os.fchmod(stream.fileno(), file.mode)
                os.utime(stream.fileno(), (file.seconds, file.seconds))
        return found


@lru_cache(maxsize=2)
def renderer_of(family: Path) -> MemoisingRenderer:
    """Read a template family, once in this process; see ``MemoisingRenderer``."""
    return MemoisingRenderer(family)
