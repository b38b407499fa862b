"""The edits that growing is tried with: what someone does to a project in a first week.

An endpoint (or a command), a method of a service, a module of their own that imports
the project's, and a changed setting. Each leaves a word in the project that nothing
else has, so that it can be found again: in the result, or in a conflict.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

ENDPOINT = "greet_from_here"
METHOD = "count_of_my_own"
MODULE = "WORDS_OF_MY_OWN"
SETTING = re.compile(
    r"access_token_minutes: int = Field\(default=61\b"
    r"|check_timeout_seconds: float = Field\(default=7\b"
    r'|model_path: Path = Path\("other.joblib"\)'
    r'|log_level: [^=]* = "ERROR"'
    r'|VERSION = "0.2.0"'
)
# A line, what is replaced in it, and the same where the setting is documented.
CHANGES: tuple[tuple[str, str, str, tuple[str, str] | None], ...] = (
    (
        *("access_token_minutes: int = Field(default=60", "(default=60", "(default=61"),
        ("ACCESS_TOKEN_MINUTES=60", "ACCESS_TOKEN_MINUTES=61"),
    ),
    (
        *("check_timeout_seconds: float = Field(default=5", "(default=5", "(default=7"),
        ("CHECK_TIMEOUT_SECONDS=5", "CHECK_TIMEOUT_SECONDS=7"),
    ),
    (
        *('model_path: Path = Path("model.joblib")', '"model.', '"other.'),
        ("MODEL_PATH=model.", "MODEL_PATH=other."),
    ),
    ('] = "INFO"', '"INFO"', '"ERROR"', ("LOG_LEVEL=INFO", "LOG_LEVEL=ERROR")),
    ('VERSION = "0.1.0"', "0.1", "0.2", None),
)


_DOC = '    """Greet, from the project\'s own module."""\n'
_FUNCTION = (
    f'def {ENDPOINT}() -> dict[str, str]:\n{_DOC}    return {{"greeting": words()}}\n'
)


class EditError(Exception):
    """A project has no place for an edit: the edits have to learn about it."""


def _modules(tree: Path) -> dict[str, str]:
    """Read the program's modules, without its tests and migrations."""
    paths = sorted(tree.rglob("*.py"))
    names = [path.relative_to(tree).as_posix() for path in paths]
    return {
        name: (tree / name).read_text(encoding="utf-8")
        for name in names
        if not re.search(r"(^|/)(tests|migrations)/|(^|/)test_", name)
    }


def _find(tree: Path, *words: str) -> tuple[Path, str]:
    """Return the module that has the first of some words, and that word."""
    modules = _modules(tree)
    for word in words:
        for name, text in modules.items():
            if re.search(word, text, re.MULTILINE):
                return tree / name, word
    raise EditError(f"no module of {tree} has {' or '.join(words)}")


def _dotted(tree: Path, path: Path) -> str:
    name = path.relative_to(tree).as_posix().removesuffix(".py")
    return name.removeprefix("src/").replace("/", ".")


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise EditError(f"{path} has no {old!r}")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change_setting(tree: Path) -> None:
    """Change the default of a setting, or the version of a command without any."""
    path, _ = _find(tree, r"^class Settings\(", r"^VERSION = ")
    text = path.read_text(encoding="utf-8")
    for line, old, new, _ in CHANGES:
        if line in text:
            _replace(path, line, line.replace(old, new))
            return
    raise EditError(f"{path} has no setting to change")


def document_setting(tree: Path) -> None:
    """Change the setting where it is documented, as a test of the project asks."""
    example = tree / ".env.example"
    path, _ = _find(tree, r"^class Settings\(", r"^VERSION = ")
    settings = path.read_text(encoding="utf-8")
    for line, old, new, documented in CHANGES:
        if documented and example.exists() and line.replace(old, new) in settings:
            _replace(example, *documented)


def add_module(tree: Path) -> None:
    """Add a module that imports the project's settings or errors, and a test of it."""
    path, word = _find(tree, r"^class Settings\(", r"^class AppError\(")
    named = "Settings" if "Settings" in word else "AppError"
    imported = "get_settings" if named == "Settings" else named
    shown = "type(get_settings())" if named == "Settings" else named
    place = path.parent.parent if path.parent.name == "core" else path.parent
    own = place / "my_own.py"
    own.write_text(
        f'"""What only this project says."""\n\n'
        f"from {_dotted(tree, path)} import {imported}\n\n"
        f'{MODULE} = "hello"\n\n\n'
        "def words() -> str:\n"
        '    """Return what to say."""\n'
        f'    return f"{{{MODULE}}} {{{shown}.__name__}}"\n',
        encoding="utf-8",
    )
    tests = tree / "tests/unit"
    test = (tests if (tree / "tests").is_dir() else tree) / "test_my_own.py"
    test.parent.mkdir(exist_ok=True)
    test.write_text(
        f'"""Test what only this project says."""\n\n'
        f"from {_dotted(tree, own)} import words\n\n\n"
        "def test_words() -> None:\n"
        f'    assert words() == "hello {named}"\n',
        encoding="utf-8",
    )


def add_method(tree: Path) -> None:
    """Add a method to a service, or a function to one that has no class."""
    path, word = _find(
        tree,
        r"^class ProductService\b",
        r"^def register\(",
        r"^(async )?def check_sites\(",
        r"^(async )?def predict\(",
        r"^def find_duplicates\(",
        r"^class ProductQuerySet\b",
    )
    text = path.read_text(encoding="utf-8")
    is_method = word.startswith("^class")
    start = re.search(word, text, re.MULTILINE)
    # The next line that is not indented: what comes after the class or the function.
    outside = re.compile(r"^(?=[^\s#)])", re.MULTILINE)
    end = outside.search(text, start.end() if start else 0)
    at = end.start() if end else len(text)
    before, after = text[:at].rstrip("\n"), text[at:]
    indent = "    " if is_method else ""
    new = (
        f"{indent}def {METHOD}({'self' if is_method else ''}) -> int:\n"
        f'{indent}    """Count what only this project counts."""\n'
        f"{indent}    return 1\n"
    )
    gap = "\n\n" if is_method else "\n\n\n"
    path.write_text(
        before + gap + new + (f"\n\n{after}" if after else ""), encoding="utf-8"
    )


def _import(path: Path, line: str) -> None:
    """Add an import where it is in order: before the first name that is behind it."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    top = line.split()[1].partition(".")[0]
    same = [
        number for number, one in enumerate(lines) if one.startswith(f"from {top}.")
    ]
    before = [number for number in same if lines[number].split()[1] > line.split()[1]]
    if not same:
        imports = [
            number
            for number, one in enumerate(lines)
            if one.startswith(("import ", "from "))
        ]
        own = [number for number in imports if lines[number].startswith("from utils")]
        at = own[0] if own else imports[-1] + 1
        lines.insert(at, f"{line}\n" if own else f"\n{line}\n")
    elif before:
        lines.insert(before[0], f"{line}\n")
    else:
        at = same[-1]
        while lines[at].rstrip().endswith(("(", ",")):
            at += 1
        lines.insert(at + 1, f"{line}\n")
    path.write_text("".join(lines), encoding="utf-8")


def add_endpoint(tree: Path) -> None:
    """Add what the outside can ask for: a route, Django's view, or a command."""
    own, _ = _find(tree, MODULE)
    path, _ = _find(
        tree,
        r"^@(router|bp).(get|post)\(\s*\"/?(checks|predictions)?\"",
        r"^@app\.(get|post)\(",
        r"^urlpatterns = ",
        r"^(async )?def (check|find|enqueue)\w*\(",
    )
    text = path.read_text(encoding="utf-8")
    imported = "words"
    routes = re.findall(r"^@(router|bp|app)\.(?:get|post)\(", text, re.MULTILINE)
    if "urlpatterns = [\n" in text:
        imported = ENDPOINT
        _append_view(own)
        line = f'    path("own/greeting", {ENDPOINT}),\n'
        _replace(path, "urlpatterns = [\n", f"urlpatterns = [\n{line}")
    elif routes:
        at = _after_function(text, text.rindex(f"@{routes[-1]}."))
        is_async = re.search(r"^async def", text, re.MULTILINE)
        new = f'\n\n@{routes[-1]}.get("/own/greeting")\n'
        new += f"{'async ' if is_async else ''}{_FUNCTION}"
        path.write_text(text[:at] + new + text[at:], encoding="utf-8")
    else:
        path.write_text(f"{text}\n\n{_FUNCTION}", encoding="utf-8")
    _import(path, f"from {_dotted(tree, own)} import {imported}")


def _append_view(own: Path) -> None:
    text = own.read_text(encoding="utf-8")
    first = text.index("from ")
    text = (
        text[:first]
        + "from django.http import HttpRequest, JsonResponse\n\n"
        + text[first:]
    )
    own.write_text(
        f"{text}\n\ndef {ENDPOINT}(_request: HttpRequest) -> JsonResponse:\n{_DOC}"
        '    return JsonResponse({"greeting": words()})\n',
        encoding="utf-8",
    )


def _after_function(text: str, start: int) -> int:
    """Return where the function ends whose decorator starts somewhere."""
    body = re.search(r"^(async )?def ", text[start:], re.MULTILINE)
    after = start + (body.end() if body else 0)
    end = re.search(r"\n(?=\n\n\S)|\Z", text[after:])
    return after + (end.end() if end else 0)


# In this order: the endpoint uses the module.
EDITS: Mapping[str, Callable[[Path], None]] = {
    "setting": change_setting,
    "module": add_module,
    "method": add_method,
    "endpoint": add_endpoint,
}


def edit(tree: Path) -> None:
    """Make all edits in a project.

    Args:
        tree: The project's directory.

    Raises:
        EditError: It has no place for one.
    """
    for make in EDITS.values():
        make(tree)


def lost(texts: str) -> list[str]:
    """Return the edits that a text does not have.

    Args:
        texts: All files of a project, and all sides of its conflicts.
    """
    words = {
        "setting": SETTING,
        "module": re.compile(MODULE),
        "method": re.compile(METHOD),
        "endpoint": re.compile(ENDPOINT),
    }
    return [name for name, word in words.items() if not word.search(texts)]
