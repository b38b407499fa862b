"""Lives of projects: what people do to them, and what growing makes of it.

Each is merged in this process, without a repository of its own: see ``test_grow.py``
for the command itself.
"""

import itertools
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from python_patterns.grow.imports import block
from python_patterns.grow.plan import Plan
from tools.grow_pairs.pairs import Workbench
from tools.template import render

FRAMEWORKS = ("fastapi", "flask", "django")


class Life:
    """A project that someone edits, and that then grows.

    Attributes:
        root: The project.
        plan: What became of it.
        files: Its files then, by path.
    """

    plan: Plan
    files: dict[str, bytes]

    def __init__(
        self, bench: Workbench, fresh: Callable[..., Path], root: Path, answers: str
    ) -> None:
        self._bench, self._fresh, self._answers = bench, fresh, answers
        self.root = root
        shutil.copytree(fresh(answers), root)

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def change(self, path: str, old: str, new: str) -> None:
        """Replace some text in a file, which has to be there."""
        text = (self.root / path).read_text("utf-8")
        assert old in text
        self.write(path, text.replace(old, new, 1))

    def grow(self, answers: str) -> None:
        """Grow with other answers."""
        old = self._fresh(self._answers)
        self._answers = f"{self._answers} {answers}"
        repository = self._bench.repository
        self.plan = self._bench.grow(old, self._fresh(self._answers), self.root)
        self.files = {
            path: repository.content(entry.id) for path, entry in self.plan.tree.items()
        }

    def text(self, path: str) -> str:
        """Return a file of the grown project."""
        return self.files[path].decode()

    def path(self, name: str) -> str:
        """Return the path of the one file of a name."""
        (found,) = [path for path in self.files if path.endswith(f"/{name}")]
        return found

    def all_lines(self) -> set[str]:
        """Return every line of the grown project and of its conflicts."""
        contents = [*self.files.values()]
        contents += [
            self._bench.repository.content(one.entry.id) for one in self.plan.conflicts
        ]
        text = b"\n".join(contents).decode(errors="replace")
        return {line.strip() for line in text.splitlines()}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """Return a place to merge in."""
    return Workbench(tmp_path_factory.mktemp("bench") / "bench")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what renders a project of answers, once."""
    numbers = itertools.count()
    root = tmp_path_factory.mktemp("fresh")

    @cache
    def rendered(answers: str) -> Path:
        data = dict(word.split("=") for word in answers.split())
        return render(data, root / str(next(numbers)))

    return rendered


@pytest.fixture
def begin(
    bench: Workbench, fresh: Callable[[str], Path], tmp_path: Path
) -> Callable[[str], Life]:
    """Return what begins the life of a project."""
    numbers = itertools.count()
    return lambda answers: Life(bench, fresh, tmp_path / str(next(numbers)), answers)


# --- Imports --------------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_comments_and_code_beside_imports_stay(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write(
        "app/own.py",
        "import sys; sys.setrecursionlimit(5000)\n"
        "from app.services import (  # noqa: TC001\n"
        "    # the one that logs in\n"
        "    users,  # type: ignore[attr-defined]\n"
        ")\n"
        "from app import (\n"
        "    settings,  # where it is\n"
        "    main,  # what runs\n"
        ")\n"
        "from app import logs, errors  # noqa: E402\n"
        "import os; from app import handlers, middleware\n"
        "x = (app.settings , users)\n",
    )
    life.grow("size=large layout=feature")
    text = life.text(life.path("own.py"))
    for line in (
        "import sys; sys.setrecursionlimit(5000)",
        "# noqa: TC001",
        "# the one that logs in",
        "# type: ignore[attr-defined]",
        "# where it is",
        "# what runs",
        "# noqa: E402",
        "x = (app.settings , users)",
        "import os; from my_service.core import handlers, middleware",
    ):
        assert line in text
    assert "from my_service.core import logs, errors  # noqa: E402\n" in text
    compile(text, "own.py", "exec")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_comments_and_code_beside_the_templates_imports_stay(
    begin: Callable[[str], Life], framework: str
) -> None:
    """Also where the imports of both sides are merged."""
    life = begin(f"framework={framework} size=medium layout=layer")
    path = "app/settings.py"
    lines = (life.root / path).read_text("utf-8").splitlines(keepends=True)
    after = block("".join(lines)).after  # type: ignore[union-attr]
    lines.insert(after, "import sys; sys.setrecursionlimit(5000)\n")
    life.write(path, f"{''.join(lines)}\n\nMINE = 1\n")
    path = "app/logs.py"
    docstring, _, rest = (life.root / path).read_text("utf-8").partition("\n")
    life.write(
        path,
        f"{docstring}\n\nfrom __future__ import annotations\n"
        f"{rest.lstrip()}\n\nMINE = [ 2 ]\n",
    )
    path = "app/errors.py"
    text = (life.root / path).read_text("utf-8")
    docstring, _, rest = text.partition("\n")
    first = next(line for line in rest.splitlines() if "import" in line)
    after = f"{first}  # noqa: TID1 - ours\nimport json  # noqa: F401"
    life.write(path, f"{docstring}\n{rest}".replace(first, after, 1))
    life.grow("size=large layout=feature")
    assert life.plan.reasons == {}
    text = life.text("src/my_service/core/settings.py")
    assert "import sys; sys.setrecursionlimit(5000)\n" in text
    compile(text, "settings.py", "exec")
    text = life.text("src/my_service/core/logs.py")
    assert "from __future__ import annotations\n" in text
    compile(text, "logs.py", "exec")
    text = life.text("src/my_service/core/errors.py")
    assert "# noqa: TID1 - ours\n" in text
    assert "import json  # noqa: F401\n" in text


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_byte_order_mark_stays(begin: Callable[[str], Life], framework: str) -> None:
    mark = b"\xef\xbb\xbf"
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write("app/own.py", mark + b"from app.settings import get_settings\n")
    logs = (life.root / "app/logs.py").read_bytes()
    life.write("app/logs.py", mark + logs + b"\n\nMINE = 1\n")
    life.grow("size=large layout=feature")
    own = life.files[life.path("own.py")]
    assert own == mark + b"from my_service.core.settings import get_settings\n"
    logs = life.files["src/my_service/core/logs.py"]
    assert logs.startswith(mark)
    assert logs.endswith(b"MINE = 1\n")
    assert life.plan.reasons == {}
