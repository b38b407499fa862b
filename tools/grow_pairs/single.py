"""Single edits of a small project, to see which are in conflict when it grows.

Each is what someone does in a single-file project: a route at some place, a setting, a
middleware, a test. Some belong to the example, which a project with a database does not
have: those have to be a conflict.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.grow_pairs.pairs import Workbench
from tools.template import render

FRAMEWORKS = ("fastapi", "flask", "django")
ROUTE = {
    "fastapi": '@router.get("/own")\nasync def own() -> str:\n    return "own"\n',
    "flask": '@bp.get("/own")\ndef own() -> str:\n    return "own"\n',
    "django": (
        "@require_safe\nasync def own(_request: HttpRequest) -> JsonResponse:\n"
        '    return JsonResponse({"own": 1})\n'
    ),
}


class Insertion(NamedTuple):
    """Lines that are added.

    Attributes:
        path: The file.
        pattern: What they follow; the end of the file where it is empty.
        text: The lines.
    """

    path: str
    pattern: str
    text: str


def _route(after: str, framework: str) -> list[Insertion]:
    found = [Insertion("main.py", after, f"\n\n{ROUTE[framework]}")]
    if framework == "django":
        listed = r"^    path\(\"checks\", check\),\n"
        found.append(Insertion("main.py", listed, '    path("own", own),\n'))
    return found


FUNCTION = r"^(async )?def {}\((.*\n)+?(?=\n\n)"
SETTING = r"^    check_timeout_seconds.*\n"
IMPORT = r"\n\n(?=(from utils|from pydantic))"
ROUTER = {
    "fastapi": (
        r"^    app.include_router\(router\)\n",
        "    app.include_router(own)\n",
    ),
    "flask": (
        r"^    app.register_blueprint\(bp\)\n",
        "    app.register_blueprint(own)\n",
    ),
    "django": (r"^    path\(\"checks\", check\),\n", '    path("own", own),\n'),
}
MIDDLEWARE = {
    "fastapi": (
        r"^    app.add_middleware\(HeadMiddleware\)\n",
        "    app.add_middleware(HeadMiddleware)  # own\n",
    ),
    "flask": (
        r"^    app.register_blueprint\(bp\)\n",
        "    app.teardown_request(print)\n",
    ),
    "django": (
        r'^        "utils.HostCheckMiddleware",\n',
        '        "own.Middleware",\n',
    ),
}
ON_ZERO = "def on_zero(*_: object) -> Response:\n        return Response(status=400)\n"
HANDLER = {
    "fastapi": (
        r"^    @app.exception_handler\(RequestValidationError\)\n(.*\n)+?(?=\n    @)",
        "\n    @app.exception_handler(ZeroDivisionError)\n    async " + ON_ZERO,
    ),
    "flask": (
        r"^    @app.errorhandler\(HTTPException\)\n(.*\n)+?(?=\n    @)",
        "\n    @app.errorhandler(ZeroDivisionError)\n    " + ON_ZERO,
    ),
}


def insertions(framework: str) -> Mapping[str, Sequence[Insertion]]:
    """Return the edits of one framework's small project, by name."""
    probe = FUNCTION.format("health" if framework == "django" else "ready")
    own_module = "from own import own\n"
    found = {
        "route below the others": _route(FUNCTION.format("check"), framework),
        "route between others": _route(probe, framework),
        "route at the end": _route("", framework)[:1]
        if framework != "django"
        else _route(FUNCTION.format("check"), framework),
        "setting": [Insertion("utils.py", SETTING, "    own: int = 3\n")],
        "default": [Insertion("utils.py", r"default=1_048_576(?=,)", " * 2")],
        "middleware": [Insertion("main.py", *MIDDLEWARE[framework])],
        "router of an own module": [
            Insertion("own.py", "", '"""Own."""\n\nown = 1\n'),
            Insertion("main.py", IMPORT, own_module),
            Insertion("main.py", *ROUTER[framework]),
        ],
        "constant": [
            Insertion("main.py", r"^from utils (.*\n)+?(?=\n)", "\nOWN = 1\n")
        ],
        "function": [
            Insertion("utils.py", "", "\n\ndef own() -> int:\n    return 1\n")
        ],
        "test": [Insertion("test_main.py", "", "\n\ndef test_own() -> None: ...\n")],
        "ignored path": [Insertion(".gitignore", "", "/dumps/\n")],
        "section of the README": [Insertion("README.md", "", "\n## Own\n\nOurs.\n")],
        # What the example does.
        "example's default": [
            Insertion("utils.py", r"check_timeout_seconds: float = Field\(", "le=9, ")
        ],
        "example's function": [
            Insertion("utils.py", r"^    up = sum\(.*\n", "    print(up)\n")
        ],
        "example's route": [
            Insertion("main.py", r'    """Check all sites now."""\n', "    print(1)\n")
        ],
    }
    if framework in HANDLER:
        found["error handler"] = [Insertion("utils.py", *HANDLER[framework])]
    return found


def insert(tree: Path, insertion: Insertion) -> None:
    """Edit a project.

    Raises:
        ValueError: It has no such place.
    """
    path = tree / insertion.path
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(insertion.pattern or r"\Z", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{insertion.path} has no {insertion.pattern}")
    text = text[: found.end()] + insertion.text + text[found.end() :]
    path.write_text(text, encoding="utf-8")


def outcomes(scratch: Path, size: str) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Grow a small project of each framework with each edit alone.

    Args:
        scratch: Directory for what is only needed meanwhile.
        size: What it grows to.

    Yields:
        The framework, the edit, and the paths in conflict with why.
    """
    bench = Workbench(scratch / "bench")
    for framework in FRAMEWORKS:
        old, new = (
            render({"framework": framework, "size": one}, scratch / framework / one)
            for one in ("small", size)
        )
        for name, edit in insertions(framework).items():
            own = scratch / "own"
            shutil.rmtree(own, ignore_errors=True)
            shutil.copytree(old, own)
            for insertion in edit:
                insert(own, insertion)
            yield framework, name, bench.grow(old, new, own).reasons
