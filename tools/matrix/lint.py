"""The first stage of the matrix: rendered files, and what ruff reports on them.

Each check returns what is wrong, one line a finding, and nothing where all is well.
"""

import functools
import hashlib
import json
import posixpath
import re
import shutil
import stat
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ruff
import yaml

from python_patterns.imports import imports
from tools import guides
from tools.memoising_renderer import File, renderer_of
from tools.template import render, set_times_by_content

# GitHub's ${{ }} is no Jinja, and the templates of pages and mails are.
LEFTOVER_TAG = re.compile(r"(?<!\$)\{\{|\{%|\{#")
# In Python a doubled brace is what an f-string needs to show one.
LEFTOVER_TAG_PYTHON = re.compile(r"(?<!\$)\{\{ [\w.]+ (\}\}|\|)|\{% |\{# ")
PYTHON = {".py", ".pyi"}
# What guides say to change.
GUIDED = {".py", ".html", ".md", ".toml", ".example"}
# Where ruff keeps its settings, and where it looks for a project's modules.
SETTINGS = {"pyproject.toml", "ruff.toml", ".ruff.toml"}
SOURCE_ROOTS = ("", "src/")
# With these, modules or more settings may be anywhere.
LEADING_ELSEWHERE = re.compile(r'"(src|extend)": ')

# A project's files by name, with slashes; nothing for a directory.
type Files = Mapping[str, File | None]
# What stands for the kind of each module of a project, by name; see ``kinds_of``.
type Kinds = Mapping[str, bytes | None]


def read(tree: Path) -> Files:
    """Read the files of a project.

    Args:
        tree: Its directory.
    """
    return {
        path.relative_to(tree).as_posix(): (
            File(path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            if path.is_file()
            else None
        )
        for path in sorted(tree.rglob("*"))
    }


@functools.cache
def _text(content: bytes) -> str:
    return content.decode(errors="replace")


@functools.cache
def _imports(text: str) -> frozenset[str]:
    """List what a module imports, with the names that it takes from there."""
    return frozenset(
        ".".join(filter(None, (one.module.lstrip("."), one.name)))
        for _, one in imports(text)
    )


@functools.cache
def _toml(text: str) -> Mapping[str, Any]:
    return tomllib.loads(text)


def _load(suffix: str, text: str) -> None:
    """Parse a file as what its name says it is."""
    match suffix:
        case ".py" | ".pyi":
            _imports(text)
        case ".toml":
            _toml(text)
        case ".yml" | ".yaml":
            list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        case ".json":
            json.loads(text)


def _format_errors(suffix: str, text: str) -> Iterator[str]:
    tag = LEFTOVER_TAG_PYTHON if suffix == ".py" else LEFTOVER_TAG
    is_shown = False  # guides of a site show its templates
    for number, line in enumerate(text.split("\n"), start=1):
        if suffix == ".md" and line.startswith("```"):
            is_shown = line in {"```html", "```diff"}
        if suffix != ".html" and not is_shown and (found := tag.search(line)):
            yield f"{number}: leftover template tag {found[0].strip()!r}"
        if line != line.rstrip():
            yield f"{number}: trailing whitespace"
    if "\n\n\n\n" in text:
        line_number = text[: text.index("\n\n\n\n")].count("\n") + 2
        yield f"{line_number}: three blank lines or more"
    if text.startswith("\n"):
        yield "1: begins with an empty line"
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield f"{text.count(chr(10))}: does not end in exactly one newline"


@functools.cache
def _content_errors(suffix: str, content: bytes) -> tuple[str, ...]:
    """Find what is wrong with a file, of which many projects have the same."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return ()  # an image or a model
    errors = [f":{error}" for error in _format_errors(suffix, text)]
    try:
        _load(suffix, text)
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        errors.append(f": {type(error).__name__}: {said}")
    return tuple(errors)


def file_errors(files: Files) -> list[str]:
    """Find leftover tags, formatting errors, and files that do not parse.

    Args:
        files: The project's files.
    """
    errors = [
        f"{name}{error}"
        for name, file in sorted(files.items())
        if file
        for error in _content_errors(_kind(name), file.content)
    ]
    texts = {
        name: _text(file.content)
        for name, file in files.items()
        if file and _suffix(name) in GUIDED
    }
    errors += guides.errors(texts)
    if not any(_suffix(name) in PYTHON for name in files):
        errors.append("no Python file was rendered")
    return errors


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1]


def _kind(name: str) -> str:
    # The text of a mail is a template of the project, as its HTML is.
    return ".html" if "/templates/" in name else _suffix(name)


def copier_errors(
    tree: Path, template: Path, answers: Mapping[str, str]
) -> Iterator[str]:
    """Find where a project differs from what copier renders.

    Args:
        tree: The project's directory.
        template: A plain copy of the family.
        answers: What it was rendered with.
    """
    with tempfile.TemporaryDirectory(prefix="python-patterns-copier-") as scratch:
        copied = read(render(answers, Path(scratch, "project"), template=template))
    here = read(tree)
    for name in sorted(copied.keys() | here.keys()):
        if copied.get(name) != here.get(name):
            yield f"{name}: copier renders it otherwise; see memoising_renderer.py"


@dataclass(frozen=True)
class Rendered:
    """What is known of a project as soon as it is rendered.

    Attributes:
        errors: The findings.
        kinds: What ruff says of two modules of one kind is the same; by name.
        seconds: How long it took.
        processor_seconds: How long processors worked for it.
    """

    errors: list[str]
    kinds: Kinds
    seconds: float
    processor_seconds: float


# Where this process wrote files of projects that are not changed.
_written: dict[File, str] = {}


def render_project(
    tree: Path,
    template: Path | None,
    answers: Mapping[str, str],
    *,
    is_fresh: bool,
    is_read_only: bool,
) -> Rendered:
    """Render a project and read its files; for a process pool.

    Args:
        tree: The project's directory. It is removed where rendering fails.
        template: A plain copy of the family to render it from; missing for a tree that
            is there already.
        answers: What to render it with.
        is_fresh: Render it with copier too, and compare.
        is_read_only: It is not changed: it may share files with others.
    """
    start, used = time.monotonic(), time.process_time()
    kinds: Kinds = {}
    if template is None:
        set_times_by_content(tree)
        files = read(tree)
        errors, kinds = file_errors(files), kinds_of(files)
    else:
        try:
            written = _written if is_read_only else None
            files = renderer_of(template).render(answers, tree, written=written)
            errors, kinds = file_errors(files), kinds_of(files)
            if is_fresh:
                errors += copier_errors(tree, template, answers)
        except Exception as error:  # noqa: BLE001 - whatever a template raises is one
            # What was half rendered would only add findings that follow from this one.
            shutil.rmtree(tree, ignore_errors=True)
            text = " ".join(str(error).split())
            errors = [f"not rendered: {type(error).__name__}: {text}"]
    spent = time.monotonic() - start, time.process_time() - used
    return Rendered(errors, kinds, *spent)


# --- What ruff says -------------------------------------------------------------------


@functools.cache
def _looked_up(name: str, content: bytes) -> frozenset[str]:
    """List the names by which ruff finds out about a module's surroundings.

    It looks for what a module imports, to tell the project's modules from libraries,
    and for an ``__init__`` in the directories above, which makes them packages.

    Args:
        name: The module's name in its project.
        content: What it holds.
    """
    above = PurePosixPath(name).parents
    found = {(each / "__init__").as_posix() for each in above}
    for module in _imports(content.decode()):
        parts = module.split(".")
        found |= {
            f"{root}{'/'.join(parts[:end])}"
            for end in range(1, len(parts) + 1)
            for root in SOURCE_ROOTS
        }
    return frozenset(found)


def _settings(name: str, content: bytes) -> object:
    """Read what ruff obeys: the rest of ``pyproject.toml`` differs among projects."""
    config = _toml(content.decode())
    if name != "pyproject.toml":
        return config
    oldest = config.get("project", {}).get("requires-python")
    return [config.get("tool", {}).get("ruff"), oldest]


def kinds_of(files: Files) -> Kinds:
    """Name the modules of a project so that ruff says the same of those named so.

    They have the same name, content and permissions in their projects, which give ruff
    the same settings, and in which it finds the same of what it looks for.

    Args:
        files: The project's files.

    Returns:
        What stands for each module's kind, by the module's name; nothing where the
        module, or what ruff obeys, does not parse or leads elsewhere.
    """
    modules = {
        name: file for name, file in files.items() if file and _suffix(name) in PYTHON
    }
    around = {posixpath.splitext(name)[0] for name in modules}
    around |= {name for name, file in files.items() if not file}
    around |= {posixpath.dirname(name) for name in files}
    try:
        settings = json.dumps(
            [
                (name, _settings(posixpath.basename(name), file.content))
                for name, file in sorted(files.items())
                if file and posixpath.basename(name) in SETTINGS
            ]
        )
    except ValueError:  # a finding of its own
        return dict.fromkeys(modules)
    if LEADING_ELSEWHERE.search(settings):
        return dict.fromkeys(modules)
    digest = hashlib.sha256(settings.encode()).hexdigest()

    def kind_of(name: str, file: File) -> bytes | None:
        try:
            seen = sorted(_looked_up(name, file.content) & around)
        except (SyntaxError, ValueError):
            return None
        kind = [name, file.digest, file.mode, digest, *seen]
        return hashlib.sha256(repr(kind).encode()).digest()

    return {name: kind_of(name, file) for name, file in modules.items()}


def _alike(files: Sequence[str], projects: Mapping[str, Kinds]) -> dict[str, list[str]]:
    """Group files by their kind.

    Args:
        files: Names of files, with that of their project before the first slash.
        projects: Their kinds, by project.

    Returns:
        For the first of each kind, all of them.
    """
    first: dict[bytes, str] = {}
    alike: dict[str, list[str]] = {}
    for file in files:
        project, _, name = file.partition("/")
        kind = projects[project].get(name)
        known = first.setdefault(kind, file) if kind else file
        alike.setdefault(known, []).append(file)
    return alike


def ruff_errors(
    projects: Mapping[Path, Kinds], root: Path, log: Path
) -> dict[Path, list[str]]:
    """Lint and check the format of many projects with one call each.

    Each project obeys its own configuration. Of modules of one kind ruff reads one.
    Those that it does not look at are findings too: it passes over ignored directories
    in silence.

    Args:
        projects: The kinds of their modules, by their directories, which are all
            directly in ``root``.
        root: The directory that ruff is called on.
        log: File for ruff's own output.

    Returns:
        The findings of each project, also where there are none.
    """
    errors: dict[str, list[str]] = {tree.name: [] for tree in projects}
    kinds = {tree.name: found for tree, found in projects.items()}
    log.parent.mkdir(parents=True, exist_ok=True)

    def call(*arguments: str) -> str:
        command = [ruff.find_ruff_bin(), *arguments]
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False
        )
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        if not done.stdout:  # findings are an exit status too, broken files another
            raise RuntimeError(f"ruff failed with {done.returncode}: {done.stderr}")
        return done.stdout

    place = f"{root.resolve()}/"
    everything = [
        path.removeprefix(place)
        for path in call("check", "--show-files", ".").splitlines()
    ]
    seen = [file for file in everything if file.partition("/")[0] in kinds]
    alike = _alike(seen, kinds)

    def add(path: str, message: str) -> None:
        read = path.removeprefix(place)
        for file in alike[read]:
            project, _, name = file.partition("/")
            said = message.replace(read, name)  # some rules name the file
            errors[project].append(f"{name}{said}")

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as chosen:
        chosen.write("\n".join(alike))
        chosen.flush()
        # What is named is read even where the settings exclude it, unless one insists.
        options = ("--no-cache", "--force-exclude", "--output-format", "json")
        files = f"@{chosen.name}"
        for found in json.loads(call("check", *options, files)):
            row = (found["location"] or {}).get("row", 0)
            add(found["filename"], f":{row}: {found['code']} {found['message']}")
        for found in json.loads(call("format", "--check", *options, files)):
            add(found["filename"], f": not formatted, {found['message'].lower()}")
    modules = {f"{tree}/{name}" for tree, found in kinds.items() for name in found}
    for file in sorted(modules.difference(seen)):
        project, _, name = file.partition("/")
        errors[project].append(f"{name}: ruff passed over this file")
    return {tree: errors[tree.name] for tree in projects}
