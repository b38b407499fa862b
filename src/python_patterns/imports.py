"""Read the imports of a Python module.

Those that only read imports do it here. ``grow.imports`` rewrites them, for which it
needs a syntax tree that keeps every space.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

STATEMENTS = (ast.Import, ast.ImportFrom)


class Imported(NamedTuple):
    """One thing that an import statement imports.

    Attributes:
        module: The module; a relative one begins with its dots.
        name: The name that is imported from it; empty for the module itself.
        alias: The name after ``as``, if there is one.
    """

    module: str
    name: str
    alias: str | None

    @property
    def is_relative(self) -> bool:
        """Whether the module is relative to the one that imports it."""
        return self.module.startswith(".")

    @property
    def top(self) -> str:
        """The module's first part, which is what a distribution brings."""
        return self.module.partition(".")[0]

    @property
    def bound(self) -> str:
        """The name that the import defines."""
        return self.alias or self.name or self.top


def imported(statement: ast.AST) -> list[Imported]:
    """List what a statement imports; nothing if it is no import."""
    if isinstance(statement, ast.Import):
        return [Imported(alias.name, "", alias.asname) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        module = "." * statement.level + (statement.module or "")
        return [Imported(module, alias.name, alias.asname) for alias in statement.names]
    return []


def imports(source: str | bytes) -> Iterator[tuple[int, Imported]]:
    """Yield what a module imports, wherever it does so, with the line.

    Args:
        source: The module.

    Raises:
        SyntaxError: It is not Python.
        ValueError: It has null bytes.
    """
    for statement in _statements(ast.parse(source)):
        for one in imported(statement):
            yield statement.lineno, one


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Walk through statements only: expressions are most of a module."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, name, ()):
            if isinstance(inner, ast.stmt):
                yield inner
            yield from _statements(inner)


def is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is a constant, such as a docstring."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def top_imports(module: ast.Module | None) -> list[ast.Import | ast.ImportFrom]:
    """Return the imports that stand before all else but the docstring."""
    found = []
    for number, statement in enumerate(module.body if module else ()):
        if isinstance(statement, STATEMENTS):
            found.append(statement)
        elif number or not is_text(statement):
            break
    return found
