"""What people do to a project, at random places.

Each edit leaves words that nothing else has, so that they can be found again.
"""

import ast
import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import ruff

from python_patterns import git
from python_patterns.grow.closing import Code
from python_patterns.grow.modules import defined, lines_of, module_of, parse, pieces
from python_patterns.imports import top_imports

FORMAT = (ruff.find_ruff_bin(), "format", "--isolated", "--no-cache", "-q")


@dataclass
class Writer:
    """Someone who edits a project.

    Attributes:
        root: The project.
        random: Decides what and where.
        words: What was written, by word.
        data: Files that are nobody's but the user's, to the byte.
        done: What was done, for people to read.
        elsewhere: Paths that the template has with other answers.
        ignored: Files that git does not have, to the byte.
        gone: The text of functions of the template that were deleted, by their name.
    """

    root: Path
    random: Random
    words: set[str] = field(default_factory=set)
    data: dict[str, bytes] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    ignored: dict[str, bytes] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def word(self) -> str:
        """Return a word that is nowhere yet."""
        word = f"LIFE_{next(self._numbers)}_"
        self.words.add(word)
        return word

    def paths(self, pattern: str = "*.py") -> list[str]:
        """List the project's regular files that are in git."""
        found = (
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob(pattern)
            if path.is_file() and not path.is_symlink()
        )
        own = {*self.ignored, ".copier-answers.yml"}
        return sorted(
            path for path in found if path not in own and not path.startswith(".git/")
        )

    def module(self) -> tuple[str, str]:
        """Choose a module that has something in it, and read it."""
        while True:
            path = self.random.choice(self.paths())
            try:
                text = (self.root / path).read_bytes().decode()
            except UnicodeDecodeError:
                continue
            if parse(text) and len(text) > 40:  # noqa: PLR2004
                return path, text

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file, and directories for it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def forget(self) -> None:
        """Forget what was taken out or came back, and links that lead nowhere."""
        for path in self.root.rglob("*"):
            if path.is_symlink() and not path.exists():
                path.unlink()
        self.ignored = {
            path: content
            for path, content in self.ignored.items()
            if (self.root / path).is_file()
        }
        text = b"".join((self.root / path).read_bytes() for path in self.paths("*"))
        self.words = {word for word in self.words if word.encode() in text}
        self.gone = {
            name: gone
            for name, gone in self.gone.items()
            if f"def {name}(".encode() not in text
        }

    def move_away(self) -> None:
        """Move away what is in the way."""
        for path in self.ignored:
            (self.root / path).unlink(missing_ok=True)
        self.ignored.clear()

    def edit(self) -> None:
        """Do something."""
        edit = self.random.choice(EDITS)
        self.done.append(f"{edit.__name__}: {edit(self)}")


def add_function(writer: Writer) -> str:
    """Add a function between others."""
    path, text = writer.module()
    word = writer.word()
    places = [
        found.start() for found in re.finditer(r"^\n\n(?=\S)", text, re.MULTILINE)
    ]
    at = writer.random.choice([*places, len(text)])
    function = f"\n\ndef own_{word}() -> str:\n    return '{word}'\n"
    writer.write(path, text[:at] + function + text[at:])
    return path


def comment_line(writer: Writer) -> str:
    """Write a comment behind a line of code."""
    path, text = writer.module()
    lines = text.split("\n")
    before = ast.dump(ast.parse(text.removeprefix("\ufeff")))
    at = writer.random.randrange(len(lines))
    if not lines[at].strip() or lines[at].endswith("\r"):
        return "nothing"
    word = writer.word()
    lines[at] += f"  # {word}"
    changed = "\n".join(lines)
    module = parse(changed)
    if module is None or ast.dump(module) != before:
        return "nothing"
    writer.write(path, changed)
    return f"{path}:{at + 1}"


def comment_above(writer: Writer) -> str:
    """Write a comment on a line of its own, wherever one may stand."""
    path, text = writer.module()
    lines = text.splitlines(keepends=True)
    before = ast.dump(ast.parse(text.removeprefix("\ufeff")))
    at = writer.random.randint(0, len(lines))
    following = lines[at] if at < len(lines) else ""
    indent = following[: len(following) - len(following.lstrip())].strip("\r\n")
    lines.insert(at, f"{indent}# {writer.word()}\n")
    changed = "".join(lines)
    module = parse(changed)
    if module is None or ast.dump(module) != before or "\r" in text:
        return "nothing"
    writer.write(path, changed)
    return f"{path}:{at + 1}"


def delete_function(writer: Writer) -> str:
    """Delete a function that nobody calls."""
    path, text = writer.module()
    every = "".join(
        (writer.root / one).read_bytes().decode(errors="replace")
        for one in writer.paths()
    )
    unused = [
        piece
        for piece in pieces(text)
        if re.search(r"^(async )?def ", piece.text, re.MULTILINE)
        and len(re.findall(rf"\b{piece.name}\b", every)) == 1
        and "LIFE_" not in piece.text
    ]
    if not unused or "\r" in text:
        return "nothing"
    piece = writer.random.choice(unused)
    lines = lines_of(text)
    del lines[piece.first : piece.after]
    writer.write(path, "".join(lines))
    writer.gone[piece.name] = piece.text
    return f"{path} {piece.name}"


def add_statement(writer: Writer) -> str:
    """Add a line to a function."""
    path, text = writer.module()
    module = ast.parse(text.removeprefix("\ufeff"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(module) if isinstance(node, functions)]
    if not found or "\r" in text:
        return "nothing"
    statement = writer.random.choice(writer.random.choice(found).body)
    line = (statement.end_lineno or statement.lineno) - 1
    lines = text.splitlines(keepends=True)
    indent = re.match(r"\s*", lines[statement.lineno - 1])
    if "\f" in text or ";" in lines[line]:
        return "nothing"
    lines.insert(line + 1, f"{indent[0] if indent else ''}{writer.word()} = 1\n")
    changed = "".join(lines)
    if not parse(changed):
        return "nothing"
    writer.write(path, changed)
    return f"{path}:{line + 2}"


def add_method(writer: Writer) -> str:
    """Add a method, or a setting, to the end of a class."""
    path, text = writer.module()
    module = ast.parse(text.removeprefix("\ufeff"))
    found = [node for node in module.body if isinstance(node, ast.ClassDef)]
    if not found or "\r" in text:
        return "nothing"
    last = writer.random.choice(found).body[-1]
    line = last.end_lineno or last.lineno
    lines = text.splitlines(keepends=True)
    word = writer.word()
    indent = " " * last.col_offset
    new = writer.random.choice(
        [
            f"{indent}own_{word}: int = 3\n",
            f"\n{indent}def own_{word}(self) -> int:\n{indent}    return 1\n",
        ]
    )
    changed = "".join([*lines[:line], new, *lines[line:]])
    if not parse(changed):
        return "nothing"
    writer.write(path, changed)
    return path


def comment_configuration(writer: Writer) -> str:
    """Write a comment in a file that is no code, at any place."""
    kinds = ("*.toml", "*.y*ml", ".env.example", "Dockerfile", ".gitignore", "*.md")
    paths = [path for kind in kinds for path in writer.paths(kind)]
    path = writer.random.choice(paths)
    lines = (writer.root / path).read_text(encoding="utf-8").splitlines(keepends=True)
    at = writer.random.randint(0, len(lines))
    lines.insert(at, f"# {writer.word()}\n")
    writer.write(path, "".join(lines))
    return f"{path}:{at + 1}"


def add_dependency(writer: Writer) -> str:
    """Depend on another package."""
    path = writer.root / "pyproject.toml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    start = "\ndependencies = [\n"
    if start not in text:
        return "nothing"
    first = text.index(start) + len(start)
    at = writer.random.choice([first, text.index("]\n", first)])
    line = f'    "own-{writer.word()}>=1",\n'
    writer.write("pyproject.toml", text[:at] + line + text[at:])
    return "pyproject.toml"


def ignore_file(writer: Writer) -> str:
    """Have git ignore a file where the template brings one, or a directory."""
    # What git has already, it goes on to have, though it was deleted just now.
    tracked = git.run("ls-files", "-z", directory=writer.root).decode().split("\0")
    found = [
        path
        for path in writer.elsewhere
        if path not in tracked and not (writer.root / path).exists()
    ]
    if not found:
        return "nothing"
    path = writer.random.choice(found)
    if writer.random.random() < 0.5:  # noqa: PLR2004
        parents = [str(one) for one in Path(path).parents if str(one) != "."]
        new = [one for one in parents if not (writer.root / one).exists()]
        path = writer.random.choice(new) if new else "notes.local"
    if any((writer.root / one).is_file() for one in Path(path).parents):
        return "nothing"
    place = writer.random.choice([".git/info/exclude", ".gitignore"])
    file = writer.root / place
    file.parent.mkdir(exist_ok=True)
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    word = writer.word()
    comment = f"# {word}\n" if place == ".gitignore" else ""
    file.write_text(f"{before}{comment}/{path}\n", encoding="utf-8")
    content = f"notes {word}\n".encode()
    writer.words.discard(word)
    writer.write(path, content)
    writer.ignored[path] = content
    return f"{path} in {place}"


def comment_import(writer: Writer) -> str:
    """Write a comment behind an import."""
    path, text = writer.module()
    lines = text.splitlines(keepends=True)
    ends = [one.end_lineno or 0 for one in top_imports(parse(text))]
    if not ends:
        return "nothing"
    at = writer.random.choice(ends) - 1
    if "#" in lines[at] or not lines[at].endswith("\n"):
        return "nothing"
    lines[at] = f"{lines[at].rstrip()}  # noqa: E402 {writer.word()}\n"
    writer.write(path, "".join(lines))
    return path


def add_import(writer: Writer) -> str:
    """Add an import, with a comment or with code behind it."""
    path, text = writer.module()
    ends = [one.end_lineno or 0 for one in top_imports(parse(text))]
    if not ends:
        return "nothing"
    lines = text.splitlines(keepends=True)
    word = writer.word()
    line = writer.random.choice(
        [
            f"import json as json_{word}\n",
            f"import json as json_own  # {word}\n",
            f"import json; OWN = '{word}'\n",
            f"# {word}\nimport json as json_own\n",
            f"from json import (  # {word}\n    dumps as own_dumps,\n)\n",
        ]
    )
    lines.insert(writer.random.choice(ends), line)
    writer.write(path, "".join(lines))
    return path


def add_module(writer: Writer) -> str:
    """Add a module that imports from others."""
    where = writer.random.choice(writer.paths()).rpartition("/")[0]
    word = writer.word()
    lines = [f"# {word}\nfrom typing import TYPE_CHECKING\n"]
    for _ in range(3):
        path, text = writer.module()
        name, known = module_of(path), sorted(defined(text))
        if not name or not known or name.startswith(("tests", "test_")):
            continue
        one = writer.random.choice(known)
        comment = writer.word()
        parent, _, last = name.rpartition(".")
        kinds = [
            f"from {name} import {one}  # {comment}\n",
            f"from {name} import (\n    {one},  # {comment}\n)\n",
            f"import {name}  # {comment}\nX = {name}.{one}\n",
            f"def f():\n    from {name} import {one} as {comment}\n",
            f"if TYPE_CHECKING:\n    from {name} import {one}  # {comment}\n",
            f"try:\n    import {name}  # {comment}\nfinally:\n    pass\n",
        ]
        if parent:
            kinds.append(f"from {parent} import {last}  # {comment}\n")
        written = writer.random.choice(kinds)
        lines.append(written)
    path = f"{where}/own_{word.lower()}.py".lstrip("/")
    writer.write(path, "".join(lines))
    return path


def add_data(writer: Writer) -> str:
    """Add data that names modules and paths."""
    where = writer.random.choice(["data", "tests/fixtures", "dump", "docs"])
    above = writer.root / where
    if above.is_file() or above.parent.is_file():  # an own file of that name
        return "nothing"
    end = writer.random.choice(["sql", "json", "csv", "txt", "md", "bin"])
    path = f"{where}/{writer.word().lower()}.{end}"
    modules = [module_of(one) or "" for one in writer.paths()]
    text = f"{path}\r\n" + "\n".join([*modules, *writer.paths()])
    content = text.encode("utf-16" if end == "bin" else "utf-8")
    writer.write(path, content)
    writer.data[path] = content
    return path


def rename_module(writer: Writer) -> str:
    """Rename a module, and the imports of it."""
    path, _ = writer.module()
    return _move(writer, path, path.replace(".py", "_renamed.py"))


def move_module(writer: Writer) -> str:
    """Move a module to another package, and the imports of it."""
    path, _ = writer.module()
    package = writer.random.choice(writer.paths("__init__.py") or [path])
    return _move(writer, path, str(Path(package).with_name(Path(path).name)))


def _move(writer: Writer, path: str, new: str) -> str:
    """Move a module, unless that breaks another, or something is there."""
    name, after = module_of(path), module_of(new)
    if not name or not after or "." not in name or path.endswith("__init__.py"):
        return "nothing"
    if re.search("test|conftest|migrations", f"{path} {new}") or path == new:
        return "nothing"
    before = {one: (writer.root / one).read_bytes() for one in writer.paths("*")}
    if (writer.root / new).exists():
        return "nothing"
    pattern = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)".encode())
    for one, content in before.items():
        if one not in writer.data:
            writer.write(one, pattern.sub(after.encode(), content))
    (writer.root / path).rename(writer.root / new)
    code = Code({one: (writer.root / one).read_bytes() for one in writer.paths()})
    if any(code.faults(one, code.tops) for one in code.files):
        (writer.root / new).unlink()
        for one, content in before.items():
            writer.write(one, content)
        return "nothing"
    return f"{path} to {new}"


def split_module(writer: Writer) -> str:
    """Make a package of a module."""
    path, text = writer.module()
    if "/" not in path or path.endswith("__init__.py") or "migrations" in path:
        return "nothing"
    if "tests" in path or "from ." in text:
        return "nothing"
    stem, name = path.removesuffix(".py"), module_of(path)
    names = ", ".join(sorted(defined(text)))
    if not names:
        return "nothing"
    (writer.root / path).unlink()
    writer.write(f"{stem}/everything.py", text)
    again = f"from {name}.everything import {names}  # {writer.word()}\n"
    writer.write(f"{stem}/__init__.py", again)
    return path


def reformat(writer: Writer) -> str:
    """Format a module, or all of them, with other settings."""
    path = writer.module()[0] if writer.random.random() < 0.8 else "."  # noqa: PLR2004
    setting = writer.random.choice(
        [
            "line-length = 60",
            "line-length = 110",
            "format.quote-style = 'single'",
            "format.indent-style = 'tab'",
        ]
    )
    subprocess.run((*FORMAT, "--config", setting, path), cwd=writer.root, check=False)
    return f"{path} {setting}"


def rewrite_readme(writer: Writer) -> str:
    """Write another README."""
    (writer.root / "README.md").unlink(missing_ok=True)
    writer.write("README.md", f"# {writer.word()}\n\nOurs.\n")
    return "README.md"


def delete_test(writer: Writer) -> str:
    """Delete one of the tests, unless something was written there."""
    found = writer.paths("test_*.py")
    path = writer.random.choice(found) if found else ""
    if not path or b"LIFE_" in (writer.root / path).read_bytes():
        return "nothing"
    (writer.root / path).unlink()
    # Git knows nothing more of the file: in another layout, its tests are new files.
    writer.gone = {
        name: text for name, text in writer.gone.items() if not name.startswith("test_")
    }
    return path


def other_bytes(writer: Writer) -> str:
    """Change line ends, or add a byte order mark."""
    path, text = writer.module()
    if "\r" in text or text.startswith("\ufeff"):
        return "nothing"
    if writer.random.random() < 0.5:  # noqa: PLR2004
        writer.write(path, text.replace("\n", "\r\n"))
    else:
        writer.write(path, "\ufeff" + text)
    return path


def latin_module(writer: Writer) -> str:
    """Add a module in another encoding."""
    path, text = writer.module()
    name, known = module_of(path), sorted(defined(text))
    if not name or not known or "test" in name:
        return "nothing"
    word = writer.word()
    own = f"own_{word.lower()}.py"
    text = f"# coding: latin-1\nfrom {name} import {known[0]}\nX = 'ä {word}'\n"
    writer.write(own, text.encode("latin-1"))
    return own


def add_link(writer: Writer) -> str:
    """Link to a file of the project, or to a directory."""
    path, _ = writer.module()
    if writer.random.random() < 0.3:  # noqa: PLR2004
        path = str(Path(path).parent)
    link = writer.root / f"links/{writer.word().lower()}"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(f"../{path}")
    return path


def take_place(writer: Writer) -> str:
    """Write a file where one of the template's goes with other answers."""
    found = [path for path in writer.elsewhere if not (writer.root / path).exists()]
    path = writer.random.choice(found) if found else "own.md"
    if any((writer.root / one).is_file() for one in Path(path).parents):
        return "nothing"
    word = writer.word()
    writer.write(path, f"# {word}\n" if path.endswith(".md") else f'{word} = "own"\n')
    return path


def take_directory(writer: Writer) -> str:
    """Write a file where a directory of the template's goes with other answers."""
    found = [
        parent.as_posix()
        for path in writer.elsewhere
        for parent in Path(path).parents
        if not (writer.root / parent).exists()
        and (writer.root / parent.parent).is_dir()
    ]
    if not found:
        return "nothing"
    path = writer.random.choice(sorted(set(found)))
    writer.write(path, f"{writer.word()}\n")
    return path


def delete_example(writer: Writer) -> str:
    """Delete a part of the example, and no more."""
    word = writer.random.choice(["product", "user", "checks"])
    for path in writer.paths(f"*{word}*.py"):
        if b"LIFE_" not in (writer.root / path).read_bytes():
            (writer.root / path).unlink()
    return word


def link_readme(writer: Writer) -> str:
    """Make a link of the README."""
    writer.write("docs/own.md", f"# {writer.word()}\n")
    (writer.root / "README.md").unlink(missing_ok=True)
    (writer.root / "README.md").symlink_to("docs/own.md")
    return "README.md"


def chmod(writer: Writer) -> str:
    """Make a module executable."""
    path, _ = writer.module()
    (writer.root / path).chmod(0o755)
    return path


EDITS: tuple[Callable[[Writer], str], ...] = (
    add_function,
    add_function,
    comment_line,
    comment_line,
    comment_above,
    comment_above,
    delete_function,
    add_statement,
    add_method,
    comment_configuration,
    add_dependency,
    comment_import,
    add_import,
    add_import,
    add_module,
    add_module,
    add_data,
    rename_module,
    move_module,
    split_module,
    reformat,
    rewrite_readme,
    delete_test,
    other_bytes,
    latin_module,
    add_link,
    take_place,
    take_place,
    take_directory,
    ignore_file,
    delete_example,
    link_readme,
    chmod,
)
