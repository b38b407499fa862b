"""Which module a name is in before and after, and what a Python file is made of."""

import ast
import functools
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from python_patterns.grow.moves import Moves
from python_patterns.imports import STATEMENTS, is_text, top_imports

BOM = "\ufeff"
COOKIE = re.compile(rb"coding[:=]")


def module_of(path: str) -> str | None:
    """Return the dotted name of a Python file, as the project imports it."""
    if not path.endswith(".py"):
        return None
    parts = path.removesuffix(".py").removeprefix("src/").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and all(map(str.isidentifier, parts)) else None


def parse(text: str) -> ast.Module | None:
    """Parse Python; nothing where it is none."""
    try:
        return ast.parse(text.removeprefix(BOM))
    except (SyntaxError, ValueError):
        return None


def decoded(content: bytes) -> str | None:
    """Return a file's text; nothing where it is none, or not known in which encoding.

    It is UTF-8, or what a Python file says that it is.
    """
    if b"\0" in content:
        return None
    try:
        return content.decode(_encoding(content))
    except (LookupError, SyntaxError, UnicodeDecodeError):
        return None


def encoded(text: str) -> bytes:
    """Return a text as it is stored, in the encoding that it says."""
    try:
        return text.encode(_encoding(text.encode()))
    except (LookupError, SyntaxError, UnicodeEncodeError):
        return text.encode()


def _encoding(content: bytes) -> str:
    if content.isascii() or not COOKIE.search(b"".join(content.splitlines()[:2])):
        return "utf-8"
    found, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    # The mark of UTF-8 is a character like others, so that it stays.
    return "utf-8" if found == "utf-8-sig" else found


def lines_of(text: str) -> list[str]:
    """Cut a text into lines where Python's parser does, with their ends."""
    return re.findall(r".*\n|.+", text)


def _targets(statement: ast.stmt) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.TypeAlias):
        targets = [statement.name]
    for target in targets:
        yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


@dataclass(frozen=True)
class Piece:
    """One statement of a module's top level, with its decorators and its comment.

    Attributes:
        name: What it defines, the first where it is several; empty where nothing.
        first: Its first line, from 0.
        after: The line after its last.
        text: Its lines.
        gap: The empty lines above it.
    """

    name: str
    first: int
    after: int
    text: str
    gap: str


def pieces(text: str) -> list[Piece]:
    """Cut a module into its statements; imports and the docstring are left out."""
    module = parse(text)
    lines = lines_of(text)
    found = []
    for number, statement in enumerate(module.body if module else ()):
        is_import = isinstance(statement, STATEMENTS)
        if is_import or (number == 0 and is_text(statement)):
            continue
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        above = (decorator.lineno for decorator in decorators)
        first = min([statement.lineno, *above]) - 1
        while first and lines[first - 1].startswith("#"):
            first -= 1
        after = statement.end_lineno or statement.lineno
        gap = first
        while gap and not lines[gap - 1].strip():
            gap -= 1
        found.append(
            Piece(
                next(_targets(statement), ""),
                first,
                after,
                "".join(lines[first:after]),
                "\n" * (first - gap),
            )
        )
    return found


def between(text: str) -> list[str]:
    """Return the lines of a module that are in no named piece and no import on top."""
    covered: set[int] = set()
    for piece in pieces(text):
        if piece.name:
            covered.update(range(piece.first, piece.after))
    for statement in top_imports(parse(text)):
        after = statement.end_lineno or statement.lineno
        covered.update(range(statement.lineno - 1, after))
    return [
        line
        for number, line in enumerate(lines_of(text))
        if number not in covered and line.strip()
    ]


@functools.cache
def defined(text: str) -> set[str]:
    """Return the names that a module defines at its top level, without imports."""
    module = parse(text)
    return {
        name
        for statement in (module.body if module else ())
        for name in _targets(statement)
    }


@functools.cache
def is_decorated(text: str, name: str) -> bool:
    """Return whether a module defines a name with a decorator."""
    module = parse(text)
    return any(
        bool(getattr(statement, "decorator_list", ()))
        for statement in (module.body if module else ())
        if name in _targets(statement)
    )


@dataclass
class Modules:
    """Where modules and the names in them go.

    Attributes:
        moves: Where files go.
        old: The paths of the project and of the old render.
        read_old: Gives the text of a file of the old render, if it has it.
        read_new: Gives the text of a file of the new render, if it has it.
        added: Where definitions of the user's own go, by file and name.
    """

    moves: Moves
    old: Iterable[str]
    read_old: Callable[[str], str | None]
    read_new: Callable[[str], str | None]
    added: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def files(self) -> Mapping[str, str]:
        """The path of each module in the project; the first of a name counts."""
        found: dict[str, str] = {}
        for path in self.old:
            module = module_of(path)
            if module is not None:
                found.setdefault(module, path)
        return found

    @cached_property
    def moved(self) -> Mapping[str, str]:
        """The new name of each module, and of each package, that gets another one."""
        found = {}
        for module, path in self.files.items():
            new = module_of(self.moves.of(path))
            if new and new != module:
                found[module] = new
        for package in self.packages - self.files.keys():
            new = self._package(package)
            if new and new != package:
                found[package] = new
        return found

    @cached_property
    def packages(self) -> set[str]:
        """The packages that modules of the project are in."""
        return {
            module.rsplit(".", count)[0]
            for module in self.files
            for count in range(1, module.count(".") + 1)
        }

    def _package(self, package: str) -> str | None:
        inside = next(
            path for name, path in self.files.items() if name.startswith(f"{package}.")
        )
        root = "src/" if inside.startswith("src/") else ""
        return module_of(
            self.moves.of(f"{root}{package.replace('.', '/')}/__init__.py")
        )

    @cached_property
    def homes(self) -> Mapping[str, list[str]]:
        """The files of the new render that define a name."""
        found = defaultdict(list)
        for path in sorted(self.moves.new):
            if path.endswith(".py"):
                for name in defined(self.read_new(path) or ""):
                    found[name].append(path)
        return found

    def home(self, path: str, name: str) -> str | None:
        """Return the file that has a definition of the template's in the new render.

        Args:
            path: The file that had it.
            name: What it defines.
        """
        if (path, name) in self.added:
            return self.added[path, name]
        places = self.homes.get(name, [])
        mapped = self.moves.of(path)
        if mapped in places:
            return mapped
        # A route and a job may share a name: they are not the same definition.
        wrapped = is_decorated(self.read_old(path) or "", name)
        places = [
            place
            for place in places
            if is_decorated(self.read_new(place) or "", name) == wrapped
        ]
        is_test = is_test_file(path)
        places = [place for place in places if is_test_file(place) == is_test]
        return places[0] if len(places) == 1 else None

    def module_for(self, module: str, name: str) -> str:
        """Return the module to import a name from that was imported from another.

        Args:
            module: The module's old name.
            name: What is imported from it.
        """
        path = self.files.get(module)
        if path is not None and (
            (path, name) in self.added or name in defined(self.read_old(path) or "")
        ):
            home = self.home(path, name)
            if home is not None:
                return module_of(home) or module
        return self.moved.get(module, module)


def is_test_file(path: str) -> bool:
    """Return whether a file belongs to the tests."""
    return path.startswith(("tests/", "test_"))
