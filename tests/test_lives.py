"""Lives of projects: what people do to them, and what growing makes of it.

Each is merged in this process, without a repository of its own: see ``test_grow.py``
for the command itself.
"""

import ast
import itertools
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from python_patterns.git import Repository
from python_patterns.grow.imports import block
from python_patterns.grow.modules import pieces
from python_patterns.grow.plan import Plan
from tools.grow_large.project import enlarge
from tools.grow_pairs.pairs import Workbench
from tools.lives.life import live
from tools.template import render

FRAMEWORKS = ("fastapi", "flask", "django")
# A life of a script, which is rendered fast.
LIFE = 12


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

    def fresh(self, answers: str) -> Path:
        """Return a project that was made with the answers after a step."""
        return self._fresh(f"{self._answers} {answers}")

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


# --- Files of the user's where the template's go --------------------------------------


@pytest.mark.parametrize("is_edited", [True, False])
@pytest.mark.parametrize(
    ("answers", "step", "files"),
    [
        (
            "framework=fastapi",
            "layout=feature",
            ("app/services/users.py", "app/users/service.py"),
        ),
        (
            "framework=flask",
            "layout=feature",
            ("app/services/users.py", "app/users/service.py"),
        ),
        (
            "framework=django",
            "layout=feature",
            ("app/routes/users.py", "app/users/views.py"),
        ),
        ("framework=fastapi", "size=small", ("app/main.py", "main.py")),
        ("framework=flask", "size=small", ("app/main.py", "main.py")),
        (
            "framework=django",
            "size=large",
            ("app/settings.py", "src/my_service/core/settings.py"),
        ),
    ],
)
def test_a_file_of_the_users_where_a_moved_one_goes_is_a_conflict(
    begin: Callable[[str], Life],
    answers: str,
    step: str,
    files: tuple[str, str],
    *,
    is_edited: bool,
) -> None:
    source, target = files
    life = begin(f"{answers} size=medium layout=layer")
    life.write(target, '"""Mine."""\n\nMY_OWN = 1\n')
    if is_edited:
        text = (life.root / source).read_text("utf-8")
        life.write(source, f"{text}\n\nMY_EDIT = 1\n")
    life.grow(step)
    assert target in life.plan.reasons
    text = life.text(target)
    assert "MY_OWN = 1\n" in text
    fresh = (life.fresh("") / target).read_text("utf-8")
    assert {line.strip() for line in fresh.splitlines()} <= life.all_lines()
    if is_edited:
        assert "MY_EDIT = 1" in life.all_lines()
        reason = life.plan.reasons[source]
        assert target in reason or reason == "changed here, gone from the template"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_imports_of_a_file_that_stays_stay(
    begin: Callable[[str], Life], framework: str
) -> None:
    """Where the user's own file would go is another one of theirs."""
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write("app/clients/post.py", "FIRST = 1\n")
    life.write("app/clients/__init__.py", "")
    for package in ("src/my_service/clients", "src/my_service/core/clients"):
        life.write(f"{package}/__init__.py", "")
        life.write(f"{package}/post.py", "SECOND = 2\n")
    life.write("app/use.py", "from app.clients.post import FIRST\n\nprint(FIRST)\n")
    life.grow("size=large layout=feature")
    assert "FIRST = 1\n" in [
        life.text(path) for path in life.files if "post.py" in path
    ]
    assert "FIRST" in life.text(life.path("use.py"))
    assert life.plan.reasons == {}


# --- What the user renamed, split or deleted ------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("step", ["size=large layout=feature", "worker=celery"])
def test_imports_find_a_module_that_was_renamed(
    begin: Callable[[str], Life], framework: str, step: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    for path in [*life.root.rglob("*.py"), life.root / "pyproject.toml"]:
        text = path.read_text("utf-8")
        path.write_text(text.replace("app.settings", "app.config"), encoding="utf-8")
    (life.root / "app/settings.py").rename(life.root / "app/config.py")
    life.grow(step)
    assert life.plan.reasons == {}
    assert not any(path.endswith("app/settings.py") for path in life.files)
    assert "class Settings" in life.text(life.path("config.py"))
    texts = [text.decode() for text in life.files.values()]
    assert not any("app.settings" in text or "core.settings" in text for text in texts)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("step", ["size=large layout=feature", "worker=celery"])
def test_imports_find_a_module_that_became_a_package(
    begin: Callable[[str], Life], framework: str, step: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    text = (life.root / "app/errors.py").read_text("utf-8")
    (life.root / "app/errors.py").unlink()
    life.write("app/errors/__init__.py", "from app.errors.all import *  # noqa: F403\n")
    life.write("app/errors/all.py", text)
    life.grow(step)
    assert "Error" in life.text(life.path("errors/all.py"))
    assert "errors.all import *" in life.text(life.path("errors/__init__.py"))
    assert not life.path("errors/all.py").startswith("app/") or "size" not in step
    assert set(life.plan.reasons) <= {life.path("errors/__init__.py")}


@pytest.mark.parametrize(
    ("answers", "step", "own", "reason"),
    [
        (
            "framework=fastapi size=medium",
            "orm=tortoise",
            (
                "app/models/orders.py",
                "from app.database import Base\n\n\nclass Order(Base): ...\n",
            ),
            "imports Base from app.database, which has none",
        ),
        (
            "framework=flask size=medium",
            "database=none",
            (
                "app/own.py",
                "from app.services.users import UserService\n\nprint(UserService)\n",
            ),
            "imports from app.services.users, which is not there",
        ),
        (
            "framework=django size=medium concurrency=async layout=layer",
            "concurrency=sync",
            (
                "app/own.py",
                "def late() -> None:\n    from app.async_views import AsyncView\n",
            ),
            "imports from app.async_views, which is not there",
        ),
        (
            "framework=fastapi size=small",
            "size=medium",
            ("test_own.py", "import utils\n\nprint(utils.Settings)\n"),
            "imports from utils, which is not there",
        ),
    ],
)
def test_an_import_of_what_is_not_there_is_named(
    begin: Callable[[str], Life],
    answers: str,
    step: str,
    own: tuple[str, str],
    reason: str,
) -> None:
    life = begin(answers)
    life.write(*own)
    life.grow(step)
    assert list(life.plan.reasons.values()) == [reason]
    (path,) = life.plan.reasons
    assert {one.path for one in life.plan.conflicts} == {path}
    assert path.endswith(own[0].rpartition("/")[2])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_import_that_may_fail_and_one_that_failed_before_are_not_named(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write(
        "app/own.py",
        "try:\n    from app.local import LOCAL\nexcept ImportError:\n    LOCAL = 1\n",
    )
    life.write("app/broken.py", "from app.settings import nothing\n")
    life.write("scripts/old.py", "print 'Python 2'\n")
    life.grow("size=large layout=feature")
    assert life.plan.reasons == {}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("step", ["layout=feature", "size=large layout=layer"])
def test_what_was_deleted_stays_deleted(
    begin: Callable[[str], Life], framework: str, step: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    for path in sorted(life.root.rglob("*product*"), reverse=True):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    life.grow(step)
    assert [path for path in life.files if "/products" in path] == []
    assert not any("product" in conflict.path for conflict in life.plan.conflicts)
    assert any("products" in path for path in life.plan.left)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_readme_of_the_users_own_is_left_alone(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write("README.md", "# Ours\n\nRun app.main, see app/main.py.\n")
    life.grow("size=large layout=feature worker=celery")
    assert life.text("README.md") == "# Ours\n\nRun app.main, see app/main.py.\n"
    assert life.plan.reasons == {}
    assert life.plan.left == {"README.md": "rewritten here"}


# --- Beside the template's changes ----------------------------------------------------

ROUTES = {
    "fastapi": ("app.include_router(router)", "app.include_router(own)"),
    "flask": ("app.register_blueprint(bp)", "app.register_blueprint(own)"),
    "django": ('path("checks", check),', 'path("own", own),'),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("step", ["size=medium", "size=large layout=feature"])
def test_what_is_added_beside_the_templates_changes_is_no_conflict(
    begin: Callable[[str], Life], framework: str, step: str
) -> None:
    life = begin(f"framework={framework} size=small")
    life.write("own.py", '"""Ours."""\n\nown = 1\n')
    seconds = "    check_timeout_seconds: float = Field(default=5, gt=0)\n"
    life.change("utils.py", seconds, f"{seconds}    own_setting: int = 3\n")
    life.change("utils.py", "default=1_048_576", "default=2_097_152")
    before, added = ROUTES[framework]
    life.change("main.py", before, f"{before}\n    {added}")
    life.change("main.py", "from utils", "from own import own\nfrom utils")
    ignored = (life.root / ".gitignore").read_text("utf-8")
    life.write(".gitignore", f"{ignored}/dumps/\n")
    life.grow(step)
    assert life.plan.reasons == {}
    for words, ends in (
        ("    own_setting: int = 3\n", "/settings.py"),
        ("default=2_097_152", "/settings.py"),
        (added, ("/main.py", "/urls.py")),
    ):
        (place,) = [path for path in life.files if words.encode() in life.files[path]]
        assert place.endswith(ends)
    assert life.text(".gitignore").splitlines()[-1] == "/dumps/"


@pytest.mark.parametrize(
    ("framework", "route"),
    [
        ("fastapi", '@router.get("/own")\nasync def own() -> int:\n    return 1\n'),
        ("flask", '@bp.get("/own")\ndef own() -> str:\n    return "1"\n'),
    ],
)
def test_a_route_at_the_end_goes_to_the_others(
    begin: Callable[[str], Life], framework: str, route: str
) -> None:
    """Below the factory, which another module has now."""
    life = begin(f"framework={framework} size=small")
    text = (life.root / "main.py").read_text("utf-8")
    life.write("main.py", f"{text}\n\n{route}")
    life.grow("size=medium")
    assert life.plan.reasons == {}
    assert route in life.text("app/routes/health.py")


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_a_name_that_nothing_defines_any_more_is_named(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    text = (life.root / "app/settings.py").read_text("utf-8")
    own = "def own() -> str:\n    return DEVELOPMENT_SECRET + NEVER\n"
    life.write("app/settings.py", f"{text}\n\n{own}")
    life.grow("database=none")
    reason = "uses DEVELOPMENT_SECRET, which is not there"
    assert life.plan.reasons == {"app/settings.py": reason}
    assert own in life.text("app/settings.py")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_test_that_was_deleted_stays_deleted_where_the_file_is_cut_up(
    begin: Callable[[str], Life], framework: str, mode: int
) -> None:
    life = begin(f"framework={framework} size=small")
    fresh = life.fresh("size=medium")
    theirs = b"".join(path.read_bytes() for path in fresh.rglob("test_*.py"))
    text = (life.root / "test_main.py").read_text("utf-8")
    gone = next(
        piece
        for piece in pieces(text)
        if piece.name.startswith("test_") and f"def {piece.name}(".encode() in theirs
    )
    life.write("test_main.py", text.replace(gone.text, ""))
    (life.root / "test_main.py").chmod(mode)
    life.grow("size=medium")
    definition = f"def {gone.name}(".encode()
    back = {path for path, content in life.files.items() if definition in content}
    assert back <= life.plan.reasons.keys()


# --- Data, encodings, links -----------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_data_stays_and_configuration_follows(
    begin: Callable[[str], Life], framework: str
) -> None:
    words = "app.settings and app/settings.py, app.main:app\n"
    data = ("dump.sql", "tests/fixtures/a.json", "data/b.yml", "notes.md", "c.csv")
    configuration = ("deploy/run.sh", "Procfile", "k8s/web.yaml", ".github/b.yml")
    life = begin(f"framework={framework} size=medium layout=layer")
    for path in (*data, *configuration):
        life.write(path, words)
    life.grow("size=large layout=feature")
    assert [path for path in data if life.text(path) != words] == []
    for path in configuration:
        assert "my_service.core.settings and src/my_service/core/" in life.text(path)
    assert life.plan.reasons == {}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_module_in_another_encoding_follows(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    head = "# -*- coding: latin-1 -*-\n"
    life.write(
        "app/own.py",
        f'{head}from app.settings import get_settings\n\nNAME = "ä"\n'.encode(
            "latin-1"
        ),
    )
    life.grow("size=large layout=feature")
    own = life.files[life.path("own.py")].decode("latin-1")
    assert own.startswith(f"{head}from my_service.core.settings import get_settings\n")
    assert own.endswith('NAME = "ä"\n')
    assert life.plan.reasons == {}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_links_lead_to_what_they_led_to(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    (life.root / "conf").mkdir()
    (life.root / "conf/settings.py").symlink_to("../app/settings.py")
    (life.root / "app/copy.py").symlink_to("settings.py")
    (life.root / "outside").symlink_to("../elsewhere")
    (life.root / "app/gone").symlink_to("models")
    life.write("docs/README.md", "# Ours\n")
    (life.root / "README.md").unlink()
    (life.root / "README.md").symlink_to("docs/README.md")
    life.grow("size=large layout=feature")
    assert life.text("conf/settings.py") == "../src/my_service/core/settings.py"
    copy = life.path("copy.py")
    start = copy.rpartition("/")[0]
    settings = "src/my_service/core/settings.py"
    assert os.path.normpath(f"{start}/{life.text(copy)}") == settings
    assert life.text("outside") == "../elsewhere"
    assert life.text("README.md") == "docs/README.md"
    assert life.plan.left == {"README.md": "another kind of file here"}
    assert list(life.plan.reasons) == [path for path in life.files if "gone" in path]
    assert not any("~" in path for path in life.files)


@pytest.mark.parametrize(
    ("framework", "path", "step"),
    [
        ("fastapi", "app/jobs", "worker=celery"),
        ("flask", "app/jobs", "worker=celery"),
        ("django", "app/tasks", "worker=celery"),
        ("fastapi", "src", "size=large"),
        ("django", "src", "size=large"),
    ],
)
def test_a_file_where_a_directory_comes_is_a_conflict(
    begin: Callable[[str], Life], framework: str, path: str, step: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write(path, "My notes\n")
    life.write("app/own.py", "from app.settings import get_settings  # mine\n")
    life.grow(step)
    aside = f"{path}~project"
    assert life.plan.reasons == {aside: "a file here, a directory there"}
    assert [(one.path, one.stage) for one in life.plan.conflicts] == [(aside, 2)]
    assert life.text(aside) == "My notes\n"
    assert "# mine" in life.text(life.path("own.py"))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_directory_where_a_file_comes_is_a_conflict(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    life.write("app/worker.py/notes", "My notes\n")
    life.grow("worker=celery")
    assert life.plan.reasons["app/worker.py~template"] == (
        "a file here, a directory there"
    )
    assert life.text("app/worker.py/notes") == "My notes\n"
    assert "elery" in life.text("app/worker.py~template")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_directory_where_a_moved_file_goes_is_a_conflict(
    begin: Callable[[str], Life], framework: str
) -> None:
    life = begin(f"framework={framework} size=medium layout=layer")
    place = "src/my_service/core/settings.py"
    life.write(f"{place}/notes", "My notes\n")
    settings = (life.root / "app/settings.py").read_text("utf-8")
    life.write("app/settings.py", f"{settings}\n\nMY_EDIT = 1\n")
    life.grow("size=large")
    assert life.text(f"{place}/notes") == "My notes\n"
    assert "class Settings" in life.text(f"{place}~template")
    assert place in life.plan.reasons["app/settings.py"]
    assert "MY_EDIT = 1" in life.all_lines()


# --- Large projects -------------------------------------------------------------------


def test_what_growing_takes_follows_the_modules_and_not_the_data(
    begin: Callable[[str], Life], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, as seconds depend on the machine; see ``tools.grow_large`` for them."""
    counted: Counter[str] = Counter()
    run, parse, fetch = subprocess.run, ast.parse, Repository.fetch_contents

    def counting_run(*words: Any, **options: Any) -> Any:  # noqa: ANN401
        counted["processes"] += 1
        return run(*words, **options)

    def counting_parse(*words: Any, **options: Any) -> Any:  # noqa: ANN401
        counted["parsed"] += 1
        return parse(*words, **options)

    def counting_fetch(repository: Repository, ids: Iterable[str]) -> None:
        names = list(ids)
        counted["read"] += len(names)
        fetch(repository, names)

    monkeypatch.setattr(subprocess, "run", counting_run)
    monkeypatch.setattr(ast, "parse", counting_parse)
    monkeypatch.setattr(Repository, "fetch_contents", counting_fetch)
    seen = []
    for modules, files in ((10, 250), (40, 250), (40, 500)):
        life = begin("framework=fastapi size=medium layout=layer")
        enlarge(life.root, modules, files)
        counted.clear()
        life.grow("size=large layout=feature")
        assert life.plan.reasons == {}
        seen.append(dict(counted))
    few, many, more_data = seen
    assert many["processes"] <= few["processes"]
    assert more_data["processes"] <= few["processes"]
    assert many["parsed"] - few["parsed"] <= 30 * 5
    assert more_data["parsed"] == many["parsed"]
    # Of four files, one is configuration.
    assert more_data["read"] - many["read"] <= 250 // 4 + 1


def test_a_random_life(tmp_path: Path) -> None:
    """One of ``python -m tools.lives``, and what it checks after each step."""
    counted, faults = live(LIFE, tmp_path)
    assert faults == []
    assert counted["steps"]
