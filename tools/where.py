"""Where a line of a generated file comes from: ``python -m tools.where``.

For answers and a line of a project, this prints the files of the template that wrote
the line, the conditions around it, where what it reads is computed, and the answers
that brought it: those that with another value give a project without it.

The templates are compiled with a mark at the end of each line of text, which names the
file and the line. What comes out is the project, with marks, which are taken off again.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from tools.combinations import STRUCTURAL, as_word
from tools.memoising_renderer import MemoisingRenderer, renderer_of
from tools.template import FAMILY_ROOT

START, END = "\ue000", "\ue001"
MARK = re.compile(f"{START}(\\d+){END}")
MARK_ALONE = re.compile(f"(?m)^{START}\\d+{END}$")
# Programs that take text apart and put it together: their own text is no source.
MACROS = {"includes/imports.jinja", "includes/module.jinja"}
TAG = re.compile(r"\{#.*?#\}|\{%[-+]?\s*(\w+)(.*?)[-+]?%\}", re.DOTALL)
OPENING = {"if", "for", "call", "macro", "filter", "set", "raw"}
IMPORT = re.compile(r"(?:from ([\w.]+) )?import (.*)")
REFUSED = 2
# Shorter text may stand in any row.
SHORTEST_ROW = 5


class WhereError(ValueError):
    """There is no such line; the message is one sentence for people."""


@dataclass(frozen=True, order=True)
class Source:
    """A line of the template.

    Attributes:
        file: Its file, below the root of the family.
        line: Its number, from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        """Return it as editors and compilers do."""
        return f"{self.file}:{self.line}"


class _Marking(SandboxedEnvironment):
    """Compiles templates with a mark at the end of each line of their text."""

    def __init__(self, like: jinja2.Environment) -> None:
        super().__init__(
            trim_blocks=like.trim_blocks,
            lstrip_blocks=like.lstrip_blocks,
            keep_trailing_newline=like.keep_trailing_newline,
            undefined=like.undefined,
            loader=like.loader,
        )
        self.cache = {}
        self.filters.update(like.filters)
        self.globals.update(like.globals)
        read_yaml = like.filters["from_yaml"]
        self.filters["regex_findall"] = self._findall
        self.filters["regex_replace"] = self._replace
        self.filters["from_yaml"] = lambda text: read_yaml(MARK.sub("", text))
        self._find = like.filters["regex_findall"]
        self._plain_replace = like.filters["regex_replace"]
        self.sources: list[Source] = []
        self.imported: dict[tuple[str, str], set[Source]] = {}
        self.includers: dict[str, set[str]] = {}

    def _parse(
        self, source: str, name: str | None, filename: str | None
    ) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if name and name not in MACROS:
            lines = source.split("\n")
            for data in tree.find_all(nodes.TemplateData):
                data.data = self._marked(data, name, lines)
        return tree

    def _marked(self, data: nodes.TemplateData, name: str, lines: list[str]) -> str:
        marked = []
        for number, text in enumerate(data.data.split("\n"), data.lineno):
            is_blank = number > len(lines) or not lines[number - 1].strip()
            mark = "" if is_blank else f"{START}{len(self.sources)}{END}"
            if mark:
                self.sources.append(Source(name, number))
            marked.append(text + mark)
        # The last part ends in front of a tag, not at the end of a line.
        marked[-1] = data.data.split("\n")[-1]
        return "\n".join(marked)

    def _findall(self, text: str, *arguments: Any) -> list[Any]:  # noqa: ANN401
        """Find as the filter does; take the marks off imports, which are merged."""
        found: list[Any] = self._find(MARK_ALONE.sub("", text), *arguments)
        return [
            (*one[:-1], self._plain_import(one[-1]))
            if isinstance(one, tuple) and IMPORT.match(one[-1])
            else one
            for one in found
        ]

    def _replace(self, text: str, *arguments: Any) -> str:  # noqa: ANN401
        """Replace as the filter does, which takes blank lines for what they are."""
        replaced: str = self._plain_replace(MARK_ALONE.sub("", text), *arguments)
        return replaced

    def _plain_import(self, line: str) -> str:
        sources = {self.sources[int(mark)] for mark in MARK.findall(line)}
        plain = MARK.sub("", line)
        for key in _imports_of(plain):
            self.imported.setdefault(key, set()).update(sources)
        return plain

    def get_template(
        self,
        name: str | jinja2.Template,
        parent: str | None = None,
        globals: Any = None,  # noqa: A002, ANN401 - as Jinja calls it
    ) -> jinja2.Template:
        """Load a template, and note which one includes it."""
        if parent and isinstance(name, str):
            self.includers.setdefault(name, set()).add(parent)
        return super().get_template(name, parent, globals)


def _imports_of(line: str) -> Iterator[tuple[str, str]]:
    """Yield what a line imports, as module and name; no module for plain imports."""
    if match := IMPORT.match(line.strip()):
        for name in match[2].strip(" ()").split(","):
            if name.strip():
                yield match[1] or "", name.strip()


@dataclass(frozen=True)
class Line:
    """A generated line.

    Attributes:
        text: The line.
        sources: The lines of the template that wrote it.
    """

    text: str
    sources: frozenset[Source]


@dataclass
class Provenance:
    """Everything that is known of a generated line.

    Attributes:
        text: The line.
        chains: Each line that wrote it, and those that include its file, outwards.
        conditions: What stands around each of these lines.
        computed: Where what they read is computed.
        brought: By answer, the values without the line.
        shaped: By answer, the values with which the line reads otherwise.
    """

    text: str
    chains: list[list[Source]] = field(default_factory=list)
    conditions: dict[Source, list[str]] = field(default_factory=dict)
    computed: dict[str, Source] = field(default_factory=dict)
    brought: dict[str, list[str]] = field(default_factory=dict)
    shaped: dict[str, list[str]] = field(default_factory=dict)


class Tracer:
    """Finds where lines of a family's projects come from."""

    def __init__(self, family: Path = FAMILY_ROOT) -> None:
        """Read the family.

        Args:
            family: Directory that holds ``copier.yml``.
        """
        self.family = family
        self.renderer: MemoisingRenderer = renderer_of(family)
        self.marking = _Marking(self.renderer.jinja)

    def trace(self, given: Mapping[str, Any], file: str, line: int) -> Provenance:
        """Return where a line comes from.

        Args:
            given: Answers for questions that make sense; the others take defaults.
            file: The file's name in the project, with slashes.
            line: The line's number, from 1.

        Raises:
            WhereError: There is no such file or line, or its file is copied as it is.
            ValueError: An answer is not among the valid choices.
        """
        answers = self.renderer.answers(given)
        files = self.renderer.sources(answers)
        path = files.get(str(PurePosixPath(file)))
        if path is None:
            raise WhereError(f"The project has no file {file}.")
        name = path.relative_to(self.family).as_posix()
        lines = self._lines(name, answers)
        if not 1 <= line <= len(lines):
            raise WhereError(f"{file} has {len(lines)} lines, not {line}.")
        chosen = lines[line - 1]
        found = Provenance(chosen.text)
        for source in sorted(chosen.sources):
            chain = [source, *self._includes(source.file, name)]
            found.chains.append(chain)
            for one in chain:
                found.conditions[one] = self._conditions(one)
                found.computed.update(self._computed(one, chosen.text))
        for source in found.computed.values():
            found.conditions[source] = self._conditions(source)
        if chosen.sources:
            self._flip(found, answers, chosen)
        return found

    def _lines(self, name: str, answers: Mapping[str, Any]) -> list[Line]:
        """Render a file of the template, and return its lines with their sources."""
        if not name.endswith(".jinja"):
            text = (self.family / name).read_text("utf-8")
            return [
                Line(line, frozenset({Source(name, number)}))
                for number, line in enumerate(text.splitlines(), 1)
            ]
        self.marking.includers.clear()
        self.marking.imported.clear()
        text = self.marking.get_template(name).render(answers)
        lines, module = [], ""
        for line in text.splitlines():
            plain = MARK.sub("", line)
            marks = {self.marking.sources[int(mark)] for mark in MARK.findall(line)}
            if match := re.match(r"from ([\w.]+) import", plain):
                module = match[1]
            inside = re.fullmatch(r"    (\w+(?: as \w+)?),", plain)
            keys = [(module, inside[1])] if inside else list(_imports_of(plain))
            if plain.startswith("from ") and plain.endswith("("):
                keys = [key for key in self.marking.imported if key[0] == module]
            if not marks:
                for key in keys:
                    marks |= self.marking.imported.get(key, set())
            lines.append(Line(plain, frozenset(marks)))
        return lines

    def _includes(self, file: str, root: str) -> list[Source]:
        """Return the lines that include a file, outwards, up to the project's file."""
        chain, seen = [], {file}
        while file != root:
            parents = sorted(self.marking.includers.get(file, set()) - seen)
            if not parents:
                break
            parent = parents[0]
            chain.append(Source(parent, self._line_of_include(parent, file)))
            seen.add(parent)
            file = parent
        return chain

    def _line_of_include(self, parent: str, child: str) -> int:
        """Return the line of a file that includes another, or 0 if a macro does."""
        fitting = {
            inner.pattern: place.line
            for place, inner in self._included
            if place.file == parent and inner.fullmatch(child)
        }
        # Where a computed name fits too, the include that says most of the name is it.
        return fitting[max(fitting, key=len)] if fitting else 0

    def _text(self, file: str) -> str:
        return (self.family / file).read_text("utf-8")

    def _conditions(self, source: Source) -> list[str]:
        """Return the tags around a line of the template."""
        text = self._text(source.file)
        around: list[list[str]] = []
        for tag in TAG.finditer(text):
            if text.count("\n", 0, tag.start()) >= source.line:
                break
            word, rest = tag[1], " ".join((tag[2] or "").split())
            if word in OPENING and not (word == "set" and "=" in rest):
                around.append([f"{word} {rest}"])
            elif word in {"elif", "else"} and around:
                around[-1].append(f"{word} {rest}".strip())
            elif word and word.startswith("end") and around:
                around.pop()
        asking = ("if", "for", "elif", "else")
        return [
            " … ".join(block) if block[-1] == "else" else block[-1]
            for block in around
            if block[0].startswith(asking)
        ]

    @cached_property
    def _definitions(self) -> dict[str, Source]:
        """Where each question, asked or computed, is."""
        found: dict[str, Source] = {}
        for directory in ("questions", "computed"):
            for path in sorted((self.family / directory).iterdir()):
                if not path.is_file():
                    continue
                name = path.relative_to(self.family).as_posix()
                is_yaml = path.suffix == ".yml"
                pattern = r"(\w+):" if is_yaml else r"\{% set (\w+) = "
                for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                    if match := re.match(pattern, line):
                        found.setdefault(match[1], Source(name, number))
        return found

    def _computed(self, source: Source, text: str) -> dict[str, Source]:
        """Return where names are computed that a line and the tags around it read."""
        line = self._text(source.file).splitlines()[source.line - 1]
        tags = [*re.findall(r"\{[{%](.*?)[%}]\}", line), *self._conditions(source)]
        if source.file.startswith("template/"):
            tags += re.findall(r"\{\{(.*?)\}\}", source.file)
        read = re.sub(r"'[^']*'", "", " ".join(tags))
        found = {}
        for name in dict.fromkeys(re.findall(r"(?<![\w.])[A-Za-z_]\w*", read)):
            if name in self._definitions:
                found[name] = self._row(self._definitions[name], text)
        return found

    def _row(self, definition: Source, text: str) -> Source:
        """Return the line of a table that a generated line was written from."""
        lines = self._text(definition.file).splitlines()
        value = text.strip(' ,#"')
        # A variable of .env.example is the field of a setting.
        values = {value, f"'{value.split('=')[0].lower()}: "}
        is_yaml = definition.file.endswith(".yml")
        for number in range(definition.line if is_yaml else 0, len(lines)):
            # The next entry of YAML begins at the margin.
            if is_yaml and lines[number] and not lines[number].startswith((" ", "#")):
                break
            is_row = any(one in lines[number] for one in values)
            if len(value) > SHORTEST_ROW and is_row:
                return Source(definition.file, number + 1)
        return definition

    def _flip(
        self, found: Provenance, answers: Mapping[str, Any], chosen: Line
    ) -> None:
        """Render with each other value of each answer: is the line there?"""
        # One line of a template writes all rows of a table: there, the text decides.
        is_row = any(
            source != self._definitions[name] for name, source in found.computed.items()
        )
        names = {root for source in chosen.sources for root in self._roots(source.file)}
        structural = answers[STRUCTURAL]
        recorded = answers["_copier_answers"]
        given = {one: recorded[one] for one in recorded if not one.startswith("_")}
        given["preset"] = "custom"  # or it would answer again
        for question in self.renderer.questions:
            if question.name not in structural or not question.is_asked(answers):
                continue
            for value in question.valid_values(answers):
                if value == answers[question.name]:
                    continue
                lines = self._lines_with({**given, question.name: value}, names)
                if lines is None:
                    continue
                written = [line for line in lines if line.sources & chosen.sources]
                word = as_word(value)
                if not written:
                    found.brought.setdefault(question.name, []).append(word)
                elif chosen.text not in {line.text for line in written}:
                    changed = found.brought if is_row else found.shaped
                    changed.setdefault(question.name, []).append(word)

    @cached_property
    def _included(self) -> list[tuple[Source, re.Pattern[str]]]:
        """Where each include is, and what names the file can have that it includes."""
        found = []
        for directory in ("template", "includes"):
            for path in sorted((self.family / directory).rglob("*.jinja")):
                name = path.relative_to(self.family).as_posix()
                tree = self.renderer.jinja.parse(path.read_text("utf-8"))
                for node in tree.find_all(nodes.Include):
                    parts = (
                        re.escape(part.value) if isinstance(part, nodes.Const) else ".+"
                        for part in _concatenated(node.template)
                    )
                    place = Source(name, node.lineno)
                    found.append((place, re.compile("".join(parts))))
        return found

    def _roots(self, file: str) -> set[str]:
        """Return the files of projects that are, or may include, a file."""
        seen: set[str] = set()
        found = {file}
        while found - seen:
            name = (found - seen).pop()
            seen.add(name)
            found |= {
                place.file for place, inner in self._included if inner.fullmatch(name)
            }
        return {name for name in found if name.startswith("template/")}

    def _lines_with(self, given: dict[str, Any], names: set[str]) -> list[Line] | None:
        """Return the lines of files with other answers; nothing if they do not fit."""
        for _ in range(len(given)):
            try:
                answers = self.renderer.answers(given)
            except ValueError as error:
                # What no longer fits takes its default. The message begins with it.
                del given[str(error).split(" ", 1)[0]]
                continue
            sources = self.renderer.sources(answers).values()
            paths = {path.relative_to(self.family).as_posix() for path in sources}
            return [
                line for name in names & paths for line in self._lines(name, answers)
            ]
        return None


def _concatenated(expression: nodes.Expr) -> list[nodes.Expr]:
    """Return the parts of an expression with ``~``, or the expression alone."""
    return expression.nodes if isinstance(expression, nodes.Concat) else [expression]


def _answers(words: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise WhereError(f"{word!r} is not of the form answer=value.")
        found[name] = value
    return found


def describe(found: Provenance, answers: Mapping[str, Any]) -> str:
    """Return what is known of a line, for people.

    Args:
        found: What is known.
        answers: All answers of the project.
    """
    lines = [found.text.strip() or "(a blank line)", ""]
    for chain in found.chains:
        for depth, source in enumerate(chain):
            lines.append(f"{'included at' if depth else 'written at'} {source}")
            lines += [f"    {condition}" for condition in found.conditions[source]]
    if not found.chains:
        lines.append("written by a macro of includes/, or blank")
    for name, source in found.computed.items():
        lines.append(f"{name} is at {source}")
        lines += [f"    {condition}" for condition in found.conditions.get(source, [])]
    for what, values in (("gone", found.brought), ("different", found.shaped)):
        for name, others in values.items():
            own = as_word(answers[name])
            lines.append(f"{name}={own}; {what} with {', '.join(others)}")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.where",
        description="Print where a line of a generated file comes from.",
    )
    parser.add_argument("answers", nargs="*", metavar="answer=value")
    parser.add_argument("place", metavar="FILE:LINE")
    options = parser.parse_args(words)
    tracer = Tracer()
    try:
        file, _, line = options.place.rpartition(":")
        if not file or not line.isdigit():
            raise WhereError(f"{options.place!r} is not of the form FILE:LINE.")
        given = _answers(options.answers)
        found = tracer.trace(given, file, int(line))
        text = describe(found, tracer.renderer.answers(given))
    except ValueError as error:
        print(f"where: {error}", file=sys.stderr)
        return REFUSED
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
