"""Projects that grow step by step, and still do what they did.

Not among the default tests, for they take minutes: ``nox -s grow``, which prints the
table of all pairs of answers too.
"""

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import copier
import pytest
from rich.console import Console

from repositories import commit, git
from tools import live
from tools.combinations import Combination, find_combinations, sample
from tools.grow_pairs import edits, pairs
from tools.grow_pairs.pairs import Workbench
from tools.matrix.report import Display
from tools.template import FAMILY_ROOT, copy_template, render

# Each step changes what it names, and keeps the rest.
STEPS: Sequence[Mapping[str, str]] = (
    {"size": "small"},
    {"size": "medium", "database": "none"},
    {"size": "large", "layout": "layer"},
    {"layout": "feature"},
    {"worker": "celery"},
    {"worker": "dramatiq"},
)
DATABASE_STEPS: Sequence[Mapping[str, str]] = (
    {"size": "medium", "layout": "layer", "database": "sqlite"},
    {"size": "large"},
    {"layout": "feature"},
    {"worker": "celery"},
)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path.resolve())


def climb(
    bench: Workbench, steps: Sequence[Mapping[str, str]], **common: str
) -> list[Path]:
    """Grow an edited project through all steps, each without a conflict."""
    answers = {**common, **steps[0]}
    old = render(answers, bench.scratch / "steps/0")
    own = bench.scratch / "trees/0"
    shutil.copytree(old, own)
    edits.edit(own)
    grown = [own]
    for number, step in enumerate(steps[1:], start=1):
        answers = {**answers, **step}
        new = render(answers, bench.scratch / f"steps/{number}")
        plan = bench.grow(old, new, own)
        assert plan.reasons == {}, step
        assert edits.lost(bench.texts(plan)) == [], step
        own = bench.write(plan.tree, bench.scratch / f"trees/{number}")
        old = new
        grown.append(own)
    return grown


def check(bench: Workbench, trees: Sequence[Path]) -> None:
    """Take projects through their own checks and tests."""
    report = pairs.check(trees, bench.scratch, Display(Console(file=io.StringIO())))
    assert report.failures == {}
    assert len(report.findings) == 3 * len(trees)


def test_from_one_file_to_workers_with_every_edit(bench: Workbench) -> None:
    check(bench, climb(bench, STEPS, framework="fastapi"))


SEEDS = {
    "fastapi": ("python", "-m", "tests.seed"),
    "flask": ("flask", "--app", "app.main", "seed"),
    "django": ("python", "manage.py", "seed"),
}


@pytest.mark.parametrize("framework", SEEDS)
def test_a_database_filled_before_works_after(bench: Workbench, framework: str) -> None:
    trees = climb(bench, DATABASE_STEPS, framework=framework)
    file = bench.scratch / "shop.db"
    url = {"DATABASE_URL": f"sqlite:///{file}"}

    first = live.make(trees[0], logs=bench.scratch / "first", variables=url)
    first.prepare()
    is_django = framework == "django"
    first.run(SEEDS[framework])
    before = rows(file)
    assert any(before.values())

    last = live.make(trees[-1], logs=bench.scratch / "last", variables=url)
    if is_django:
        last.run(("python", "manage.py", "makemigrations", "--check"))
        last.run(("python", "manage.py", "migrate", "--check"))
    else:
        last.run(("alembic", "check"))
        last.run(("alembic", "upgrade", "head"))
    assert rows(file) == before
    # Ready it is with a broker only.
    with last.server("/health/live"):
        pass
    check(bench, trees[-1:])


def rows(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for (name,) in tables
        }


# --- Versions -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three versions of this family: the second renames a module, the third adds."""
    directory = tmp_path_factory.mktemp("versions")
    first = copy_template(FAMILY_ROOT, directory / "1")
    second = copy_template(first, directory / "2")
    for name in ("package", "django"):
        file = second / f"computed/paths/{name}.jinja"
        # The last of two lines for a role counts.
        text = f"{file.read_text('utf-8')}logs: {{{{ core_dir }}}}logging\n"
        file.write_text(text, encoding="utf-8")
    third = copy_template(second, directory / "3")
    readme = third / "template/README.md.jinja"
    text = readme.read_text("utf-8").replace("## Start", "## How to start")
    readme.write_text(f"{text}\nThe third version.\n", encoding="utf-8")
    (third / "template/{{ structured }}/local.toml").write_text("a = 1\n", "utf-8")
    return [first, second, third]


def some_combinations() -> list[Combination]:
    """Return one of every framework and size, but small: those have no logs."""
    chosen = sample(find_combinations(FAMILY_ROOT))
    combinations: dict[tuple[str, ...], Combination] = {}
    for combination in chosen:
        if combination.answers["size"] != "small":
            kind = tuple(
                combination.answers[name] for name in ("framework", "size", "purpose")
            )
            combinations.setdefault(kind, combination)
    found = list(combinations.values())
    more = [
        combination
        for combination in chosen
        if combination not in found and combination.answers["size"] != "small"
    ]
    return [*found, *more][:12]


@pytest.mark.parametrize(
    "combination", some_combinations(), ids=lambda combination: combination.id
)
@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 2), (1, 2)])
def test_an_update_keeps_every_edit(
    bench: Workbench,
    versions: Sequence[Path],
    combination: Combination,
    start: int,
    end: int,
) -> None:
    old = render(combination.answers, bench.scratch / "old", template=versions[start])
    new = render(combination.answers, bench.scratch / "new", template=versions[end])
    fresh = bench.repository.import_directory(new)
    assert bench.grow(old, new, old).tree == fresh

    own = bench.scratch / "own"
    shutil.copytree(old, own)
    (logs,) = [path for path in own.rglob("log*.py") if "tests" not in path.parts]
    logs.write_text(logs.read_text("utf-8") + "\n\nMINE = 'other region'\n", "utf-8")
    readme = own / "README.md"
    readme.write_text(
        readme.read_text("utf-8").replace("## Start", "## My start"), "utf-8"
    )
    (own / "notes.md").write_text("a new file\n", encoding="utf-8")
    (own / ".editorconfig").unlink()
    compose = own / "compose.yaml"
    moved = compose if compose.is_file() else own / ".dockerignore"
    moved = moved if moved.is_file() else own / ".pre-commit-config.yaml"
    moved.rename(own / "renamed.txt")
    (own / ".gitignore").chmod(0o755)
    errors = next(path for path in own.rglob("errors.py") if "tests" not in path.parts)
    errors.write_bytes(errors.read_bytes().replace(b"\n", b"\r\n") + b"# CRLF\r\n")
    (own / ".python-version").write_bytes(b"\0binary\0")

    plan = bench.grow(old, new, own)
    tree, texts = plan.tree, bench.texts(plan)
    assert "'other region'" in texts or '"other region"' in texts
    assert "## My start" in texts
    assert "README.md" in plan.reasons or (start, end) == (0, 1)
    assert set(plan.reasons) <= {"README.md"}
    assert {"notes.md", "renamed.txt"} <= tree.keys()
    assert ".editorconfig" not in tree
    assert moved.name not in tree
    assert tree[".gitignore"].mode == "100755"
    content = bench.repository.content
    crlf = next(text for e in tree.values() if b"# CRLF" in (text := content(e.id)))
    assert crlf.count(b"\n") == crlf.count(b"\r\n")
    assert content(tree[".python-version"].id) == b"\0binary\0"


# --- Kills ----------------------------------------------------------------------------


def test_killed_at_any_moment_it_is_as_before_or_as_after(tmp_path: Path) -> None:
    template = copy_template(FAMILY_ROOT, tmp_path / "family")
    commit(template, tag="v1")
    project = tmp_path / "project"
    run = (sys.executable, "-m", "copier", "copy", "-q", "--defaults")
    subprocess.run((*run, str(template), str(project)), check=True)
    commit(project)
    edits.edit(project)
    commit(project)
    before = git(project, "rev-parse", "HEAD^{tree}")
    grow = (sys.executable, "-m", "python_patterns", "grow", "size=large")

    started = time.perf_counter()
    subprocess.run(grow, cwd=project, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - started
    after = git(project, "write-tree")
    seen = []
    for moment in range(10):
        git(project, "reset", "-q", "--hard")
        process = subprocess.Popen(
            grow, cwd=project, stdout=subprocess.DEVNULL, start_new_session=True
        )
        # Most of them near the end, where it writes.
        time.sleep(whole * (0.1 + 0.1 * moment if moment < 4 else 0.7 + 0.05 * moment))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        live.wait_until(
            lambda: not (project / ".git/patterns-grow.json").exists(), "its last step"
        )
        status = git(project, "status", "--porcelain")
        tree = git(project, "write-tree")
        assert tree == (after if status else before)
        assert git(project, "diff", "--name-only") == ""
        assert git(project, "ls-files", "--others", "--exclude-standard") == ""
        seen.append(bool(status))
    assert False in seen


# --- The project's own checks ---------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "step", "module"),
    [
        ("framework=flask size=medium", "worker=rq", "app/own.py"),
        ("framework=fastapi size=medium", "layout=feature", "app/own.py"),
        ("framework=django size=small", "worker=celery", "own.py"),
    ],
)
def test_its_own_checks_run_before_a_project_changes(
    tmp_path: Path, answers: str, step: str, module: str
) -> None:
    """All that its README names, with the dependencies that it would have."""
    family, project = copy_template(FAMILY_ROOT, tmp_path / "family"), tmp_path / "own"
    commit(family, tag="v1.0.0")
    data = dict(word.split("=") for word in answers.split())
    copier.run_copy(str(family), project, data=data, defaults=True, quiet=True)
    file = project / module
    file.write_text('"""Mine."""\n\nCOUNT: int = "one"\n', encoding="utf-8")
    commit(project)
    words = ("grow", step, "--verify", "--json")
    grow = (sys.executable, "-m", "python_patterns", *words)

    def verified() -> dict[str, bool]:
        done = subprocess.run(grow, cwd=project, check=False, stdout=subprocess.PIPE)
        checks = json.loads(done.stdout)["checks"]
        assert done.returncode == (0 if all(one["passed"] for one in checks) else 1)
        return {one["command"].removeprefix("uv run "): one["passed"] for one in checks}

    found = verified()
    assert {name for name, passed in found.items() if not passed} == {"mypy"}
    assert {"pytest", "ruff check", "ruff format --check", "mypy"} <= found.keys()
    assert git(project, "status", "--porcelain", "--ignored") == ""
    file.write_text('"""Mine."""\n\nCOUNT: int = 1\n', encoding="utf-8")
    commit(project)
    assert all(verified().values())
    assert git(project, "status", "--porcelain") != ""


# --- Pairs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("fastapi-medium-async-layer-sqlite", "layout=feature"),
        ("fastapi-medium-async-layer-sqlite", "concurrency=sync"),
        ("flask-medium", "size=large"),
        ("django-medium-async", "layout=feature"),
        ("none-medium-sync", "size=large"),
    ],
    ids=" ".join,
)
def test_a_grown_project_passes_its_own_checks(
    bench: Workbench, words: tuple[str, str]
) -> None:
    every = pairs.all_pairs(find_combinations(FAMILY_ROOT))
    pair = next(one for one in every if all(word in one.name for word in words))
    old, new = bench.rendered(pair.old.id), bench.rendered(pair.new.id)
    own = bench.scratch / "own"
    shutil.copytree(old, own)
    edits.edit(own)
    plan = bench.grow(old, new, own)
    assert plan.reasons == {}
    check(bench, [bench.write(plan.tree, bench.scratch / "grown/project")])
