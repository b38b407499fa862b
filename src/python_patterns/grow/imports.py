"""Imports of modules that moved, rewritten; imports of three files, merged as sets.

What is rewritten: ``import`` statements wherever they stand, relative ones too; names
that such an import bound; and dotted names in strings, such as what ``mock.patch``
takes, Django's settings and names of tasks. Only these characters are replaced, where
they stand: everything else stays to the byte.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from python_patterns.grow.modules import BOM, Modules, lines_of, parse
from python_patterns.imports import Imported, imported, top_imports

# All between the two words of ``from a.b import c``.
FROM = re.compile(r"from(?!\w)(?:[\s.\w]|\\\r?\n)*?(?<!\w)import(?!\w)")


class _Edit(NamedTuple):
    """Characters to replace.

    Attributes:
        start: The first one.
        end: The one after the last.
        text: What to write in their place.
    """

    start: int
    end: int
    text: str


class _Places:
    """Where the nodes of a syntax tree stand in a text, in characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        starts = [found.end() for found in re.finditer(r"\r\n|\r|\n", text)]
        self._starts = [0, *starts]

    def _at(self, line: int, column: int) -> int:
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        whole = self.text[start:end]
        # The parser counts bytes.
        return start + (
            column if whole.isascii() else len(whole.encode()[:column].decode())
        )

    def span(self, node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
        """Return where a node starts and ends."""
        last = node.end_lineno or node.lineno
        return (
            self._at(node.lineno, node.col_offset),
            self._at(last, node.end_col_offset or 0),
        )

    def indentation(self, start: int, end: int) -> str | None:
        """Return what stands before a statement; nothing if others share its lines."""
        first = max(self.text.rfind(one, 0, start) for one in "\r\n") + 1
        after = re.match(r"[ \t]*(?:#[^\r\n]*)?(?:[\r\n]|\Z)", self.text[end:])
        before = self.text[first:start]
        return before if after and not before.strip() else None

    def comment(self, end: int) -> str:
        """Return the comment behind a statement, with the spaces before it."""
        found = re.match(r"[ \t]*#[^\r\n]*", self.text[end:])
        return found[0] if found else ""


def _dotted(node: ast.expr) -> str | None:
    """Return the dotted name that an expression is, if it is one."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return inner and f"{inner}.{node.attr}"
    return None


def _import_as(module: str, name: str) -> str:
    """Write the import of a module as a name."""
    parent, _, last = module.rpartition(".")
    if parent and last == name:
        return f"from {parent} import {last}"
    return f"import {module} as {name}"


def _as(name: str, alias: str | None) -> str:
    return f"{name} as {alias}" if alias else name


@dataclass
class _Comments:
    """The comments inside of an import's parentheses.

    Attributes:
        header: Those behind the opening one.
        above: Those on lines of their own, by the number of the name below.
        behind: Those behind a name, by its number.
    """

    header: list[str]
    above: dict[int, list[str]]
    behind: dict[int, list[str]]

    @classmethod
    def inside(cls, statement: str) -> "_Comments":
        """Read the comments of a statement.

        Args:
            statement: Its text.
        """
        found = cls([], {}, {})
        names, is_inside, has_name, is_line_new = 0, False, False, False
        for token in tokenize.generate_tokens(io.StringIO(statement).readline):
            if token.string == "(":
                is_inside, is_line_new = True, False
            elif token.type == tokenize.NL:
                is_line_new = True
            elif token.type == tokenize.COMMENT and is_inside:
                if is_line_new:
                    found.above.setdefault(names + has_name, []).append(token.string)
                elif names or has_name:
                    at = names if has_name else names - 1
                    found.behind.setdefault(at, []).append(token.string)
                else:
                    found.header.append(token.string)
            elif token.string == "," and is_inside:
                names, has_name, is_line_new = names + 1, False, False
            elif token.type == tokenize.NAME and is_inside:
                has_name, is_line_new = True, False
        return found

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.header or self.above or self.behind)


class _Rewriter:
    """Finds what to replace in one module.

    Attributes:
        modules: Where modules go.
        package: The package that the module was in: what relative imports start from.
        has_moved: Whether the module gets another name, so that they start elsewhere.
        in_text: Rewrites what is in a string.
    """

    def __init__(
        self,
        modules: Modules,
        package: Sequence[str],
        in_text: Callable[[str], str],
        *,
        has_moved: bool,
    ) -> None:
        self.modules = modules
        self.package = package
        self.in_text = in_text
        self.has_moved = has_moved

    def rewrite(self, text: str, module: ast.Module) -> str:
        """Rewrite a module's imports, what they bound, and names in its strings.

        Args:
            text: The module.
            module: Its syntax tree.
        """
        places = _Places(text)
        edits: list[_Edit] = []
        bound: set[str] = set()
        nodes = list(ast.walk(module))
        for node in nodes:
            if isinstance(node, ast.Import):
                edits += self._import(places, node, bound)
            elif isinstance(node, ast.ImportFrom):
                edits += self._from(places, node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                start, end = places.span(node)
                new = self.in_text(text[start:end])
                if new != text[start:end]:
                    edits.append(_Edit(start, end, new))
        if bound:
            for node in nodes:
                if isinstance(node, ast.Attribute) and _dotted(node) in bound:
                    new = self.modules.moved[_dotted(node) or ""]
                    edits.append(_Edit(*places.span(node), new))
        return _edited(text, edits)

    def _import(
        self, places: _Places, node: ast.Import, bound: set[str]
    ) -> Iterator[_Edit]:
        """Rewrite ``import a.b``, ``import a.b as c`` and ``import a``."""
        statements, edits, is_apart = [], [], False
        for alias in node.names:
            new = self.modules.moved.get(alias.name)
            start, end = places.span(alias)
            if new is None:
                statements.append(f"import {places.text[start:end]}")
            elif alias.asname is None and "." not in alias.name:
                # What it binds is one name, which stays what it is.
                statements.append(_import_as(new, alias.name))
                is_apart = True
            else:
                if alias.asname is None:
                    bound.add(alias.name)
                edits.append(_Edit(start, end, _as(new, alias.asname)))
                statements.append(f"import {_as(new, alias.asname)}")
        yield from [_together(places, node, statements)] if is_apart else edits

    def _source(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        start = self.package[: len(self.package) - node.level + 1]
        return ".".join([*start, *filter(None, [node.module])])

    def _groups(
        self, source: str, names: Iterable[ast.alias]
    ) -> dict[str, list[tuple[int, str]]]:
        """Sort what is imported from a module by where it is now."""
        moved = self.modules.moved
        groups: dict[str, list[tuple[int, str]]] = {}
        for number, alias in enumerate(names):
            whole = f"{source}.{alias.name}"
            place, name = self.modules.module_for(source, alias.name), alias.name
            if whole in self.modules.files:
                parent, _, last = moved.get(whole, whole).rpartition(".")
                if parent:
                    place, name = parent, last
            asname = alias.asname or (alias.name if name != alias.name else None)
            groups.setdefault(place, []).append((number, _as(name, asname)))
        return groups

    def _from(self, places: _Places, node: ast.ImportFrom) -> Iterator[_Edit]:
        """Rewrite ``from a.b import c``, where need be as several statements."""
        source = self._source(node)
        moved = self.modules.moved
        is_relative = bool(node.level) and self.has_moved
        start, end = places.span(node)
        header = FROM.match(places.text, start, end)
        if header is None or source == "__future__":
            return
        if node.names[0].name == "*":
            if source in moved or is_relative:
                text = f"from {moved.get(source, source)} import"
                yield _Edit(start, header.end(), text)
            return
        groups = self._groups(source, node.names)
        if len(groups) == 1:
            ((place, names),) = groups.items()
            if place != source or is_relative:
                yield _Edit(start, header.end(), f"from {place} import")
            for alias, (_, name) in zip(node.names, names, strict=True):
                if name != _as(alias.name, alias.asname):
                    yield _Edit(*places.span(alias), name)
            return
        comments = _Comments.inside(places.text[start:end])
        indentation = places.indentation(start, end) or ""
        statements = [
            _from_statement(place, names, comments, indentation)
            for place, names in groups.items()
        ]
        yield _together(places, node, statements)


def _from_statement(
    place: str,
    names: Sequence[tuple[int, str]],
    comments: _Comments,
    indentation: str,
) -> str:
    """Write some of the names of an import, with their comments."""
    if not comments:
        return f"from {place} import {', '.join(name for _, name in names)}"
    header = "".join(f"  {one}" for one in comments.header)
    lines = [f"from {place} import ({header}"]
    for number, name in names:
        lines += [f"    {one}" for one in comments.above.get(number, ())]
        behind = "".join(f"  {one}" for one in comments.behind.get(number, ()))
        lines.append(f"    {name},{behind}")
    return f"\n{indentation}".join([*lines, ")"])


def _together(places: _Places, node: ast.stmt, statements: Sequence[str]) -> _Edit:
    """Write several statements in place of one, each with the comment behind it."""
    start, end = places.span(node)
    indentation = places.indentation(start, end)
    if indentation is None:
        return _Edit(start, end, "; ".join(statements))
    text = f"{places.comment(end)}\n{indentation}".join(statements)
    if "\r\n" in places.text:
        text = text.replace("\n", "\r\n")
    return _Edit(start, end, text)


def _edited(text: str, edits: Iterable[_Edit]) -> str:
    """Replace characters; what lies inside of something replaced goes with it."""
    parts, position = [], 0
    for start, end, new in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if start >= position:
            parts += [text[position:start], new]
            position = end
    return "".join([*parts, text[position:]])


@dataclass
class Rewriting:
    """Rewrites files of a project whose modules move.

    Attributes:
        modules: Where they go.
    """

    modules: Modules

    @cached_property
    def _in_text(self) -> tuple[re.Pattern[str], Mapping[str, str]] | None:
        """What to look for in text: names of two parts or more, and paths of files."""
        table = {
            old: new
            for old, new in self.modules.moved.items()
            if "." in old and "." in new
        }
        for path in self.modules.files.values():
            moved = self.modules.moves.of(path)
            if "/" in path and moved != path and not path.endswith("__init__.py"):
                table[path] = moved
        if not table:
            return None
        words = "|".join(map(re.escape, sorted(table, key=len, reverse=True)))
        return re.compile(rf"(?<![\w./-])(?:{words})(?!\w)"), table

    def text(self, text: str) -> str:
        """Rewrite dotted names and paths of files, as they stand in any text."""
        if self._in_text is None:
            return text
        pattern, table = self._in_text
        return pattern.sub(lambda found: table[found[0]], text)

    def python(self, text: str, path: str) -> str:
        """Rewrite a Python file.

        Args:
            text: The file.
            path: Where it was.
        """
        moved = self.modules.moved
        has_moved = self.modules.moves.of(path) != path
        tops = {name.partition(".")[0] for name in self.modules.files}
        if not moved and not has_moved and not any(map(text.__contains__, tops)):
            return text
        mark = BOM if text.startswith(BOM) else ""
        text = text.removeprefix(BOM)
        module = parse(text)
        if module is None:
            return mark + self.text(text)
        package = path.removeprefix("src/").split("/")[:-1]
        rewriter = _Rewriter(self.modules, package, self.text, has_moved=has_moved)
        return mark + rewriter.rewrite(text, module)


# --- Imports as a set -----------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """The imports at the top of a module.

    Attributes:
        first: The first line, from 0.
        after: The line after the last.
        names: What is imported: module, name (empty for the module itself), alias.
        statements: The lines of each statement, and what it imports.
    """

    first: int
    after: int
    names: frozenset[Imported]
    statements: Sequence[tuple[str, Sequence[Imported]]]


def import_line(module: str, names: Iterable[Imported]) -> str:
    """Write an import, in one line."""
    names = list(names)
    if all(not name for _, name, _ in names):
        return "".join(
            f"import {module}{f' as {alias}' if alias else ''}\n"
            for _, _, alias in names
        )
    words = ", ".join(
        f"{name} as {alias}" if alias else name
        for _, name, alias in sorted(names, key=lambda one: (one[1], one[2] or ""))
    )
    return f"from {module} import {words}\n"


def block(text: str) -> Block | None:
    """Find the imports at the top of a module; nothing where there are none."""
    top = top_imports(parse(text))
    if not top:
        return None
    lines = lines_of(text)
    first, after = top[0].lineno - 1, top[-1].end_lineno or top[-1].lineno
    found = []
    start = first
    for statement in top:
        end = statement.end_lineno or statement.lineno
        found.append(("".join(lines[start:end]), imported(statement)))
        start = end
    names = frozenset(one for _, group in found for one in group)
    return Block(first, after, names, found)


def merged_block(base: Block, ours: Block, theirs: Block) -> str:
    """Merge imports as sets, in the words of the side that has them."""
    wanted = (theirs.names | (ours.names - base.names)) - (base.names - ours.names)
    found: list[tuple[str, Sequence[Imported]]] = []
    for text, names in theirs.statements:
        kept = [one for one in names if one in wanted]
        if len(kept) == len(names):
            found.append((text, names))
        elif kept:
            found.append((import_line(kept[0].module, kept), kept))
    missing = wanted - theirs.names
    for text, names in ours.statements:
        added = [one for one in names if one in missing]
        has_comment = "#" in text and base.names.isdisjoint(names)
        if has_comment or len(added) == len(names):
            found.append((text, names))
        else:
            found += [(import_line(one.module, [one]), [one]) for one in added]
    found.sort(key=lambda one: one[1][0].module != "__future__")
    return "".join(text for text, _ in found)


def has_same_comments(one: Block, other: Block) -> bool:
    """Return whether two modules have the same comments at imports that both have."""
    return all(
        "#" not in text
        or text in {text for text, _ in second.statements}
        or second.names.isdisjoint(names)
        for first, second in ((one, other), (other, one))
        for text, names in first.statements
    )


def with_block(text: str, found: Block, new: str) -> str:
    """Replace the imports of a module."""
    lines = lines_of(text)
    return "".join([*lines[: found.first], new, *lines[found.after :]])
