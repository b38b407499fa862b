"""Imports of modules that moved, rewritten; imports of three files, merged as sets.

What is rewritten: ``import`` statements wherever they stand, relative ones too; names
that such an import bound; and dotted names in strings, such as what ``mock.patch``
takes, Django's settings and names of tasks. Everything else stays to the byte.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import libcst as cst
from libcst.helpers import get_full_name_for_node

from python_patterns.grow.modules import Modules, lines_of, parse
from python_patterns.imports import Imported, imported, top_imports


def _dotted(name: str) -> cst.Attribute | cst.Name:
    node = cst.parse_expression(name)
    if not isinstance(node, cst.Attribute | cst.Name):
        raise TypeError(name)
    return node


class _Rewriter(cst.CSTTransformer):
    """Rewrites one module.

    Attributes:
        modules: Where modules go.
        package: The package that the module was in: what relative imports start from.
        has_moved: Whether the module gets another name, so that they start elsewhere.
    """

    def __init__(
        self, modules: Modules, package: Sequence[str], *, has_moved: bool
    ) -> None:
        super().__init__()
        self.modules = modules
        self.package = package
        self.has_moved = has_moved
        self.bound: set[str] = set()

    def visit_Import(self, _node: cst.Import) -> bool:
        """Leave what is inside to ``leave_Import``: a name there is no use of it."""
        return False

    def leave_Import(self, _old: cst.Import, node: cst.Import) -> cst.Import:
        """Rewrite ``import a.b`` and ``import a.b as c``."""
        names = []
        for alias in node.names:
            name = get_full_name_for_node(alias.name) or ""
            new = self.modules.moved.get(name)
            if new is None:
                names.append(alias)
                continue
            if alias.asname is None:
                self.bound.add(name)
            names.append(alias.with_changes(name=_dotted(new)))
        return node.with_changes(names=names)

    def visit_ImportFrom(self, _node: cst.ImportFrom) -> bool:
        """Leave what is inside to ``leave_ImportFrom``."""
        return False

    def _source(self, node: cst.ImportFrom) -> str:
        module = get_full_name_for_node(node.module) if node.module else ""
        if not node.relative:
            return module or ""
        start = self.package[: len(self.package) - len(node.relative) + 1]
        return ".".join([*start, *filter(None, [module])])

    def leave_ImportFrom(
        self, _old: cst.ImportFrom, node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.FlattenSentinel[cst.ImportFrom]:
        """Rewrite ``from a.b import c``, where need be as several statements."""
        source = self._source(node)
        moved = self.modules.moved
        if isinstance(node.names, cst.ImportStar):
            new = moved.get(source)
            if new is None and not (node.relative and self.has_moved):
                return node
            return node.with_changes(module=_dotted(new or source), relative=())
        places: dict[str, list[cst.ImportAlias]] = {}
        for alias in node.names:
            name = get_full_name_for_node(alias.name) or ""
            target = moved.get(f"{source}.{name}")
            if f"{source}.{name}" in self.modules.files:
                whole = target or f"{source}.{name}"
                place, _, last = whole.rpartition(".")
                if place:
                    places.setdefault(place, []).append(_renamed(alias, name, last))
                    continue
            places.setdefault(self.modules.module_for(source, name), []).append(alias)
        if list(places) == [source] and not (node.relative and self.has_moved):
            kept = places[source]
            if all(new is old for new, old in zip(kept, node.names, strict=True)):
                return node
        statements = [
            self._statement(node, place, aliases, alone=len(places) == 1)
            for place, aliases in places.items()
        ]
        return statements[0] if len(places) == 1 else cst.FlattenSentinel(statements)

    @staticmethod
    def _statement(
        node: cst.ImportFrom, place: str, aliases: list[cst.ImportAlias], *, alone: bool
    ) -> cst.ImportFrom:
        if alone:
            spaces = cst.SimpleWhitespace(" ")
            return node.with_changes(
                module=_dotted(place),
                relative=(),
                names=aliases,
                whitespace_after_from=spaces,
                whitespace_before_import=spaces,
            )
        # Their commas may hold the line ends of parentheses that are gone.
        names = [
            alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in aliases
        ]
        return cst.ImportFrom(module=_dotted(place), names=names)

    def leave_SimpleStatementLine(
        self, old: cst.SimpleStatementLine, node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        """Write each of the statements that one became on a line of its own."""
        if len(node.body) == len(old.body):
            return node
        lines = [cst.SimpleStatementLine([statement]) for statement in node.body]
        lines[0] = lines[0].with_changes(leading_lines=node.leading_lines)
        trailing = node.trailing_whitespace
        lines[-1] = lines[-1].with_changes(trailing_whitespace=trailing)
        return cst.FlattenSentinel(lines)

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        """Look at ``a.b.c`` as a whole first."""
        return self._bound_part(node) is None

    def leave_Attribute(
        self, old: cst.Attribute, node: cst.Attribute
    ) -> cst.BaseExpression:
        """Rewrite ``a.b.c`` where ``import a.b`` was rewritten."""
        found = self._bound_part(old)
        if found is None:
            return node
        new = self.modules.moved[found]
        name = get_full_name_for_node(old) or ""
        return _dotted(new + name.removeprefix(found))

    def _bound_part(self, node: cst.Attribute) -> str | None:
        if not self.bound:
            return None
        name = get_full_name_for_node(node) or ""
        fitting = [one for one in self.bound if f"{name}.".startswith(f"{one}.")]
        return max(fitting, key=len) if fitting and "(" not in name else None


def _renamed(alias: cst.ImportAlias, old: str, new: str) -> cst.ImportAlias:
    """Import a module under its new name, and call it what the file calls it."""
    if old == new:
        return alias
    asname = alias.asname or cst.AsName(name=cst.Name(old))
    return alias.with_changes(name=cst.Name(new), asname=asname)


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
        try:
            module = cst.parse_module(text)
        except cst.ParserSyntaxError:
            return self.text(text)
        package = path.removeprefix("src/").split("/")[:-1]
        rewriter = _Rewriter(self.modules, package, has_moved=has_moved)
        return self._strings(module.visit(rewriter).code)

    def _strings(self, text: str) -> str:
        """Rewrite dotted names in the strings of a Python file."""
        if self._in_text is None or not self._in_text[0].search(text):
            return text
        module = parse(text)
        if module is None:
            return text
        # As the parser counts: bytes, and lines that end in a line feed.
        whole = text.encode()
        starts = [0, *(found.end() for found in re.finditer(b"\n", whole))]
        places = sorted(
            (
                starts[node.lineno - 1] + node.col_offset,
                starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0),
            )
            for node in ast.walk(module)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        for start, end in reversed(places):
            written = self.text(whole[start:end].decode()).encode()
            whole = whole[:start] + written + whole[end:]
        return whole.decode()


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
    """Merge imports as sets, in the words of the template wherever it has some."""
    wanted = (theirs.names | (ours.names - base.names)) - (base.names - ours.names)
    lines = []
    for text, names in theirs.statements:
        kept = [one for one in names if one in wanted]
        if len(kept) == len(names):
            lines.append(text)
        elif kept:
            lines.append(import_line(kept[0][0], kept))
    lines += [
        import_line(one[0], [one])
        for one in sorted(wanted - theirs.names, key=lambda one: (one[0], one[1]))
    ]
    return "".join(lines)


def has_same_comments(old: str, one: Block, own: str, other: Block) -> bool:
    """Return whether two modules have the same comments at their imports."""
    sides = [
        {line.partition("#")[2] for line in lines_of(text)[at.first : at.after]}
        for text, at in ((old, one), (own, other))
    ]
    return sides[0] == sides[1]


def with_block(text: str, found: Block, new: str) -> str:
    """Replace the imports of a module."""
    lines = lines_of(text)
    return "".join([*lines[: found.first], new, *lines[found.after :]])
