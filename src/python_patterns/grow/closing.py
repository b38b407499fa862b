"""The last look at a merge: whether each module compiles and finds what it imports."""

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from python_patterns.grow.modules import module_of
from python_patterns.imports import Imported, imported

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
# Errors after which a module goes on without what it wanted to import.
EXPECTED = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


@dataclass(frozen=True)
class Fault:
    """Something that does not work in a module.

    Attributes:
        about: What it is about: a name; the same before and after modules move.
        reason: What is wrong, in a sentence.
    """

    about: str
    reason: str


@dataclass(frozen=True)
class Module:
    """What is to be known of one Python file.

    Attributes:
        error: Why it does not compile, if it does not.
        names: What can be imported from it; nothing where that is not known.
        imports: What it imports and does not expect to be missing, by absolute names.
    """

    error: str | None
    names: frozenset[str] | None
    imports: Sequence[Imported]

    @classmethod
    def read(cls, path: str, content: bytes) -> "Module":
        """Read a file; its syntax tree is large, and is not kept."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(content)
                # More is an error than what does not parse, such as a lone ``return``.
                compile(tree, path, "exec", dont_inherit=True)
        except SyntaxError as error:
            return cls(f"{error.msg}, line {error.lineno}", None, ())
        except ValueError as error:
            return cls(str(error), None, ())
        package = path.removeprefix("src/").split("/")[:-1]
        return cls(
            None,
            _names(tree, has_globals=b"global " in content),
            [
                Imported(_absolute(one.module, package), one.name, one.alias)
                for statement in _unguarded(tree.body)
                for one in imported(statement)
            ],
        )


def _names(tree: ast.Module, *, has_globals: bool) -> frozenset[str] | None:
    found: set[str] = set()
    for node in _in_scope(tree):
        found.update(_bound(node))
        if has_globals and isinstance(node, SCOPES):
            found.update(name for inner in ast.walk(node) for name in _global(inner))
    return None if found & {"*", "__getattr__"} else frozenset(found)


def _absolute(module: str, package: list[str]) -> str:
    rest = module.lstrip(".")
    level = len(module) - len(rest)
    if not level:
        return module
    return ".".join([*package[: len(package) - level + 1], *filter(None, [rest])])


def _in_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through what a module itself runs, without functions and classes."""
    for inner in ast.iter_child_nodes(node):
        yield inner
        if not isinstance(inner, SCOPES):
            yield from _in_scope(inner)


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    else:
        yield from (one.bound for one in imported(node))


def _global(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Global):
        yield from node.names


def _unguarded(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements but for those whose failing imports are caught."""
    for statement in statements:
        yield statement
        is_guarded = isinstance(statement, ast.Try) and any(
            handler.type is None
            or EXPECTED & {name.id for name in ast.walk(handler.type) if _is_name(name)}  # type: ignore[attr-defined]
            for handler in statement.handlers
        )
        for part in ("body", "orelse", "finalbody"):
            if not (is_guarded and part == "body"):
                yield from _unguarded(getattr(statement, part, ()))
        for part in ("handlers", "cases"):
            for inner in getattr(statement, part, ()):
                yield from _unguarded(inner.body)


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name)


class Code:
    """The modules of a project, and what each can import from the others."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self.files = {
            path: content for path, content in contents.items() if path.endswith(".py")
        }
        self.modules = {
            name: path for path in self.files if (name := module_of(path)) is not None
        }
        self.packages = {
            name.rsplit(".", count)[0]
            for name in self.modules
            for count in range(1, name.count(".") + 1)
        }
        self.tops = {name.partition(".")[0] for name in self.modules}
        self._known: dict[str, Module] = {}

    def _read(self, path: str) -> Module:
        if path not in self._known:
            self._known[path] = Module.read(path, self.files[path])
        return self._known[path]

    def faults(self, path: str, tops: Iterable[str]) -> list[Fault]:
        """Return what does not work in a file.

        Args:
            path: The file.
            tops: The first parts of names of modules that are the project's own.
        """
        module = self._read(path)
        if module.error:
            return [Fault("", f"does not compile: {module.error}")]
        found: dict[Fault, None] = {}
        for one in module.imports:
            if one.top in tops and not self._has(one):
                found[Fault(one.name or one.module, _missing(one, self))] = None
        return list(found)

    def _is_module(self, name: str) -> bool:
        return name in self.modules or name in self.packages

    def _has(self, one: Imported) -> bool:
        if not self._is_module(one.module):
            return False
        if one.name in {"", "*"} or self._is_module(f"{one.module}.{one.name}"):
            return True
        if one.name.startswith("__") or one.module not in self.modules:
            return one.name.startswith("__")
        names = self._read(self.modules[one.module]).names
        return names is None or one.name in names


def _missing(one: Imported, code: Code) -> str:
    is_there = one.module in code.modules or one.module in code.packages
    if is_there:
        return f"imports {one.name} from {one.module}, which has none"
    return f"imports from {one.module}, which is not there"


def new_faults(
    before: Code, after: Code, sources: Mapping[str, Iterable[str]]
) -> dict[str, list[str]]:
    """Return what works no more after a merge, by file.

    Args:
        before: The project before.
        after: The project after.
        sources: The files before that each file after comes from.
    """
    tops = before.tops | after.tops
    found = {}
    for path in after.files:
        faults = after.faults(path, tops)
        if not faults:
            continue
        known = {
            fault.about
            for source in sources.get(path, [path])
            if source in before.files
            for fault in before.faults(source, before.tops)
        }
        reasons = [fault.reason for fault in faults if fault.about not in known]
        if reasons:
            found[path] = reasons
    return found
