"""What people do to a project, at random places.

Each edit leaves words that nothing else has, so that they can be found again.
"""

import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import ruff

from python_patterns.grow.closing import Code
from python_patterns.grow.modules import defined, module_of, parse
from python_patterns.imports import top_imports


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
    """

    root: Path
    random: Random
    words: set[str] = field(default_factory=set)
    data: dict[str, bytes] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def word(self) -> str:
        """Return a word that is nowhere yet."""
        word = f"LIFE_{next(self._numbers)}_"
        self.words.add(word)
        return word

    def paths(self, pattern: str = "*.py") -> list[str]:
        """List the project's regular files."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob(pattern)
            if path.is_file() and not path.is_symlink()
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
        """Forget what was written and taken out again, and links that lead nowhere."""
        for path in self.root.rglob("*"):
            if path.is_symlink() and not path.exists():
                path.unlink()
        text = b"".join((self.root / path).read_bytes() for path in self.paths("*"))
        self.words = {word for word in self.words if word.encode() in text}

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
    lines = [f"# {word}\n"]
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
    name = module_of(path)
    if not name or "." not in name or path.endswith("__init__.py"):
        return "nothing"
    if "test" in path or "conftest" in path or "migrations" in path:
        return "nothing"
    before = {one: (writer.root / one).read_bytes() for one in writer.paths("*")}
    if any((writer.root / one).is_symlink() for one in before):
        return "nothing"
    new = path.replace(".py", "_renamed.py")
    pattern = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)".encode())
    for one, content in before.items():
        if one not in writer.data:
            writer.write(one, pattern.sub(f"{name}_renamed".encode(), content))
    (writer.root / path).rename(writer.root / new)
    code = Code({one: (writer.root / one).read_bytes() for one in writer.paths()})
    if any(code.faults(one, code.tops) for one in code.files):
        (writer.root / new).unlink()
        for one, content in before.items():
            writer.write(one, content)
        return "nothing"
    return path


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
    """Format a module with other settings."""
    path, _ = writer.module()
    words = (ruff.find_ruff_bin(), "format", "--isolated", "--no-cache", "-q")
    option = "format.quote-style = 'single'"
    subprocess.run(
        (*words, "--config", option, "--line-length", "60", path),
        cwd=writer.root,
        check=False,
    )
    return path


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
    """Link to a file of the project."""
    path, _ = writer.module()
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
    comment_import,
    add_import,
    add_import,
    add_module,
    add_module,
    add_data,
    rename_module,
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
    delete_example,
    link_readme,
    chmod,
)
