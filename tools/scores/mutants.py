"""Small changes in Python code, each of which tests should notice."""

import ast
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

# Where a fault costs most, by the names of modules and of the directories they are in.
CENTRAL = frozenset({"services", "service", "jobs", "tasks", "security", "handlers"})

COMPARISONS = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
# Arguments that hold text for people.
FOR_PEOPLE = {"help", "description", "summary", "title", "verbose_name"}
ARITHMETIC = {ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*"}
ARITHMETIC |= {ast.Div: "*", ast.Mod: "+", ast.BitOr: "&"}


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        file: The module, below the project's root.
        kind: What kind of change it is.
        line: Number of the line that it begins in.
        start: Where the replaced text begins, in bytes.
        end: Where it ends.
        old: The replaced text.
        new: What stands there instead.
        function: The class and function that it is in.
    """

    file: str
    kind: str
    line: int
    start: int
    end: int
    old: str
    new: str
    function: str

    @property
    def name(self) -> str:
        """What identifies it as long as the code around it stays."""
        return f"{self.file} {self.function}: {self.old!r} -> {self.new!r}"

    @property
    def order(self) -> str:
        """Its place among the mutants of its kind."""
        return hashlib.sha256(
            f"{self.kind} {self.name} {self.line}".encode()
        ).hexdigest()

    @property
    def is_central(self) -> bool:
        """Whether it is in a service, a job, security or an error handler."""
        return bool(CENTRAL & {*Path(self.file).with_suffix("").parts})


class _Finder(ast.NodeVisitor):
    """Finds all mutants of one module."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.source = text.encode()
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line.encode()))
        self.found: list[Mutant] = []
        self.scope: list[str] = []

    # --- Places ---

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None  # noqa: S101 - `ast.parse` sets both
        assert node.end_col_offset is not None  # noqa: S101
        return self.lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, start: int, end: int) -> str:
        return self.source[start:end].decode()

    def of(self, node: ast.expr | ast.stmt) -> str:
        return self.text(self.start(node), self.end(node))

    def add(self, kind: str, start: int, end: int, new: str) -> None:
        mutant = Mutant(
            self.file,
            kind,
            self.source.count(b"\n", 0, start) + 1,
            start,
            end,
            self.text(start, end),
            new,
            ".".join(self.scope) or "module",
        )
        changed = self.source[:start] + new.encode() + self.source[end:]
        try:
            compile(changed, self.file, "exec")
        except SyntaxError:
            return
        self.found.append(mutant)

    def replace(self, kind: str, node: ast.expr | ast.stmt, new: str) -> None:
        self.add(kind, self.start(node), self.end(node), new)

    # --- What is left alone ---

    def _is_log(self, node: ast.AST) -> bool:
        """Whether this logs; no test should fix the wording of a log."""
        match node:
            case ast.Await(value):
                return self._is_log(value)
            case ast.Call(ast.Attribute(ast.Name("logger" | "log"))):
                return True
        return False

    def _scoped(
        self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ) -> None:
        # Annotations, parameters' types and docstrings are not code that runs.
        self.scope.append(node.name)
        self._decorators(node)
        if isinstance(node, ast.ClassDef):
            for keyword in node.keywords:
                self.visit(keyword.value)
        else:
            arguments = node.args
            for one in (*arguments.args, *arguments.kwonlyargs):
                self._annotation(one.annotation)
            for default in (*arguments.defaults, *arguments.kw_defaults):
                if default is not None:
                    self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _scoped  # noqa: N815

    def visit_Import(self, node: ast.Import) -> None:
        """Imports are for linters."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Imports are for linters."""

    def _annotation(self, node: ast.expr | None) -> None:
        """Types are for the type checker, but not what follows one in `Annotated`."""
        match node:
            case ast.Subscript(ast.Name("Annotated"), ast.Tuple([_, *rest])):
                for extra in rest:
                    self.visit(extra)

    def visit_TypeAlias(self, node: ast.TypeAlias) -> None:
        """Change the constraints of a type."""
        self._annotation(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Change the value and the constraints of its type."""
        self._annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        """Take the other branch, except for what only type checkers see."""
        match node.test:
            case ast.Name("TYPE_CHECKING"):
                return
            case ast.Compare(ast.Name("__name__")):
                return
        if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            self.replace("condition", node.test, f"not ({self.of(node.test)})")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people is not changed, but what is computed in it is."""
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                self.visit(value.value)

    # --- What is changed ---

    def _decorators(
        self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ) -> None:
        for decorator in node.decorator_list:
            start = self.source.rindex(b"@", 0, self.start(decorator))
            end = self.source.index(b"\n", self.end(decorator))
            if self.of(decorator) not in {"override", "staticmethod", "classmethod"}:
                self.add("dropped decorator", start, end, "")
            self.visit(decorator)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Drop a call whose result nobody wants."""
        if isinstance(node.value, ast.Constant) or self._is_log(node.value):
            return
        if isinstance(node.value, ast.Call | ast.Await):
            self.replace("dropped call", node, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Swallow an exception."""
        self.replace("swallowed exception", node, "pass")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        """Return nothing, or the opposite."""
        match node.value:
            case None | ast.Constant(None):
                return
            case ast.Constant(True) | ast.Constant(False):
                pass
            case _:
                self.replace("other result", node.value, "None")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        """Leave the loop."""
        self.replace("loop", node, "break")

    def visit_Break(self, node: ast.Break) -> None:
        """Go on with the loop."""
        self.replace("loop", node, "continue")

    def visit_Await(self, node: ast.Await) -> None:
        """Forget to wait."""
        self.replace("dropped await", node, self.of(node.value))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Compare otherwise."""
        places = [node.left, *node.comparators]
        for operator, left, right in zip(
            node.ops, places, node.comparators, strict=False
        ):
            start, end = self.end(left), self.start(right)
            between = self.text(start, end)
            if "(" in between or ")" in between:
                continue
            self.add("comparison", start, end, f" {COMPARISONS[type(operator)]} ")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Take `and` for `or`."""
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            start, end = self.end(left), self.start(right)
            between = self.text(start, end)
            if between.split() == [old]:
                self.add("boolean operator", start, end, between.replace(old, new))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Drop `not`."""
        if isinstance(node.op, ast.Not):
            self.replace("condition", node, f"({self.of(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Compute otherwise."""
        start, end = self.end(node.left), self.start(node.right)
        between = self.text(start, end)
        new = ARITHMETIC.get(type(node.op))
        if new and "(" not in between and ")" not in between:
            self.add("arithmetic", start, end, f" {new} ")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Drop a keyword argument or a link of a chain of calls."""
        if self._is_log(node):
            return
        items = [*node.args, *(keyword.value for keyword in node.keywords)]
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg in FOR_PEOPLE:
                continue
            start = keyword.lineno, keyword.col_offset
            begin = self.lines[start[0] - 1] + start[1]
            end = self.end(keyword.value)
            rest = self.source[end:].lstrip()
            if rest.startswith(b","):
                end = self.source.index(b",", end) + 1
                self.add("dropped keyword", begin, end, "")
            elif keyword.value is items[-1] and len(items) > 1:
                before = self.source.rindex(b",", 0, begin)
                self.add("dropped keyword", before, end, "")
            else:
                self.add("dropped keyword", begin, end, "")
        match node.func:
            case ast.Attribute(ast.Call() as inner):
                self.replace("dropped link", node, self.of(inner))
        self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> None:
        """Change the value, except where it is text for people."""
        if node.arg in FOR_PEOPLE:
            return
        self.visit(node.value)

    def _elements(self, node: ast.List | ast.Tuple | ast.Set) -> None:
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            for left, right in zip(node.elts, node.elts[1:], strict=False):
                self.add("dropped element", self.start(left), self.start(right), "")
            if len(node.elts) > 1:
                end = self.end(node.elts[-1])
                self.add("dropped element", self.end(node.elts[-2]), end, ",")
        self.generic_visit(node)

    visit_List = visit_Tuple = visit_Set = _elements  # noqa: N815

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Subscripts of types are no code; others have their index changed."""
        name = self.of(node.value)
        if name.rpartition(".")[2][:1].isupper() or name in dir(__builtins__):
            return
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Put another constant in its place."""
        match node.value:
            case bool():
                self.replace("other constant", node, str(not node.value))
            case int() | float():
                self.replace("other constant", node, str(node.value + 1))
            case str() if node.value:
                # Of several literals in a row only the last would be changed.
                if len(self.of(node).splitlines()) == 1:
                    self.replace("other constant", node, repr(f"XX{node.value}"))


def mutants_of(tree: Path) -> list[Mutant]:
    """List all mutants of a project, in the order they are drawn in.

    They are drawn from each kind in turn: most of a project's code is constants.

    Args:
        tree: The project's directory.
    """
    by_kind: defaultdict[str, list[Mutant]] = defaultdict(list)
    for path in sorted(tree.rglob("*.py")):
        file = path.relative_to(tree)
        if {"tests", "migrations"} & {*file.parts} or file.name.startswith("test_"):
            continue
        text = path.read_text("utf-8")
        finder = _Finder(str(file), text)
        finder.visit(ast.parse(text))
        for mutant in finder.found:
            by_kind[mutant.kind].append(mutant)
    drawn = [sorted(kind, key=lambda one: one.order) for kind in by_kind.values()]
    return [one for one in chain.from_iterable(zip_longest(*drawn)) if one]
