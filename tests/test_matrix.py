"""Each kind of mistake is reported by its stage; nothing else is."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tools import mutation, processes
from tools.combinations import find_combinations, select
from tools.matrix import checks, environments, lint
from tools.matrix.__main__ import main, shard
from tools.matrix.report import (
    BUILD,
    OWN_TESTS,
    RENDER,
    STAGES,
    TYPES,
    Display,
    Report,
)
from tools.matrix.run import Options, Project, projects_of, run
from tools.template import (
    FAMILY_ROOT,
    copy_template,
    render,
    set_times_by_content,
)

COMBINATIONS = find_combinations(FAMILY_ROOT)
COMBINATION = select(
    COMBINATIONS,
    ["purpose=api", "size=small", "concurrency=sync", "worker=none"],
)[0]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def append(text: str) -> Callable[[Path], None]:
    """Make a mistake at the end of the program."""

    def plant(tree: Path) -> None:
        main = next(iter(sorted(tree.rglob("main.py"))))
        main.write_text(main.read_text("utf-8") + text, encoding="utf-8")

    return plant


def add_test(body: str) -> Callable[[Path], None]:
    """Make a mistake in a test of its own, first in the order of tests."""

    def plant(tree: Path) -> None:
        tests = next(iter(sorted(tree.rglob("test_*.py")))).parent
        text = f'"""Planted."""\n\n{body}'
        (tests / "test_a_planted.py").write_text(text, encoding="utf-8")

    return plant


def add_file(name: str, text: str) -> Callable[[Path], None]:
    def plant(tree: Path) -> None:
        (tree / name).write_text(text, encoding="utf-8")

    return plant


def declare(name: str) -> Callable[[Path], None]:
    """Make a mistake in what the program needs."""

    def plant(tree: Path) -> None:
        path = tree / "requirements.txt"
        if path.is_file():
            path.write_text(f"{name}\n{path.read_text('utf-8')}", encoding="utf-8")
        else:
            path = tree / "pyproject.toml"
            start = "\ndependencies = ["
            text = path.read_text("utf-8").replace(start, f'{start}\n    "{name}",')
            path.write_text(text, encoding="utf-8")

    return plant


TEST = "def test_planted() -> None:\n    "
MISTAKES: Mapping[str, tuple[Callable[[Path], None], int, str]] = {
    "format": (append("\n\nPLANTED = [ 1 ]\n"), RENDER, "not formatted"),
    "name": (append("\n\nPLANTED = nothing\n"), RENDER, "F821"),
    "syntax": (append("\n\nPLANTED = (\n"), RENDER, "SyntaxError"),
    "tag": (add_file("notes.md", "{{ project_name }}\n"), RENDER, "template tag '{{'"),
    "toml": (add_file("broken.toml", "a = \n"), RENDER, "TOMLDecodeError"),
    "yaml": (add_file("broken.yml", "a: [\n"), RENDER, "ParserError"),
    "space": (add_file("notes.md", "a \n"), RENDER, "notes.md:1: trailing whitespace"),
    "blank": (add_file("notes.md", "a\n\n\n\nb\n"), RENDER, "three blank lines"),
    "first line": (add_file("notes.md", "\na\n"), RENDER, "begins with an empty line"),
    "newline": (add_file("notes.md", "a"), RENDER, "exactly one newline"),
    "guide": (
        add_file(
            "docs/add-a-feature.md", "| `pyproject.toml` | the lines with `no such` |\n"
        ),
        RENDER,
        "docs/add-a-feature.md: pyproject.toml: No line holds 'no such",
    ),
    # The same size as in the project that is checked first; see same_times.
    "type": (append('\n\nPLANTED: int = "34"\n'), TYPES, "Incompatible types"),
    "undeclared": (append("\n\nimport packaging\n"), TYPES, "imports packaging of"),
    "failure": (add_test(TEST + "assert 1 == 2\n"), OWN_TESTS, "assert 1 == 2"),
    "exit": (
        add_test("import os\n\n\n" + TEST + "os._exit(0)\n"),
        OWN_TESTS,
        "the tests died with 0",
    ),
    "early end": (
        add_test(f'import pytest\n\n\n{TEST}pytest.exit("end", returncode=0)\n'),
        OWN_TESTS,
        "did not run",
    ),
    "skip": (
        add_test(f'import pytest\n\n\n{TEST}pytest.skip("why")\n'),
        OWN_TESTS,
        "why",
    ),
    "unpinned": (declare("packaging"), TYPES, "declared without a version"),
    "environment": (
        declare("no-such-distribution-as-this"),
        TYPES,
        "no environment",
    ),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Run the matrix once over a clean project and one for each mistake."""
    root = tmp_path_factory.mktemp("matrix")
    clean = render(COMBINATION.answers, root / "trees" / "clean")
    append("\n\nPLANTED: int = 1234\n")(clean)
    projects = [Project("clean", "clean", clean, frozenset(STAGES))]
    for name, (plant, stage, _) in MISTAKES.items():
        tree = root / "trees" / name.replace(" ", "-")
        shutil.copytree(clean, tree)
        append_free(tree)
        plant(tree)
        projects.append(Project(name, name, tree, frozenset({RENDER, stage})))
    same_times(root / "trees")
    options = options_in(root)
    return run(projects, options, Display(Console(file=io.StringIO())))


def append_free(tree: Path) -> None:
    """Take out what the clean project has at its end."""
    main = next(iter(sorted(tree.rglob("main.py"))))
    text = main.read_text("utf-8").replace("\n\nPLANTED: int = 1234\n", "")
    main.write_text(text, encoding="utf-8")


def same_times(root: Path) -> None:
    """Make all files as old as each other, as if rendered within one second."""
    for path in root.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def options_in(root: Path) -> Options:
    return Options(
        python=PYTHON,
        jobs=1,  # one slot, one type cache: what one project left, the next one finds
        cache=root / "cache",
        logs=root / "logs",
        scratch=root / "scratch",
    )


def test_clean_project_passes(report: Report) -> None:
    found = {
        stage: errors
        for (name, stage), errors in report.findings.items()
        if name == "clean"
    }
    assert found == {RENDER: [], TYPES: [], OWN_TESTS: []}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_reported_by_its_stage(report: Report, name: str) -> None:
    _, stage, message = MISTAKES[name]
    errors = report.findings[name, stage]
    assert any(message in error for error in errors), errors


def test_what_passed_is_not_checked_again(tmp_path: Path) -> None:
    options = options_in(tmp_path)
    tree = render(COMBINATION.answers, tmp_path / "trees" / "one")
    project = Project("one", "one", tree, frozenset({TYPES, BUILD}))

    def check() -> tuple[Report, bool, str]:
        shown = io.StringIO()
        report = run([project], options, Display(Console(file=shown)))
        return report, ("one", TYPES) in report.known, shown.getvalue()

    _, known, shown = check()
    assert not known
    assert "passed before" not in shown
    assert check()[1]
    (tree / "main.py").write_text("wrong: int = 'text'\n", encoding="utf-8")
    for _ in range(2):
        report, known, shown = check()
        assert report.failures
        assert not known
        assert "1 are checked, for these changed\n    main.py: 1 project\n" in shown


def test_times_say_the_content(tmp_path: Path) -> None:
    for name, text in {"a": "x = 1\n", "b": "x = 2\n", "c": "x = 1\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    set_times_by_content(tmp_path)
    a, b, c = ((tmp_path / name).stat().st_mtime for name in "abc")
    assert a == c
    assert a != b


def write(tree: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    set_times_by_content(tree)
    return tree


def small_package(dependencies: list[str]) -> dict[str, str]:
    return {
        "pyproject.toml": (
            '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.12"\n'
            f"dependencies = {dependencies}\n\n"
            '[dependency-groups]\ndev = ["mypy>=2"]\n\n'
            '[build-system]\nrequires = ["uv_build>=0.13,<1"]\n'
            'build-backend = "uv_build"\n\n'
            '[tool.mypy]\nstrict = true\npackages = ["shop"]\n'
        ),
        "src/shop/__init__.py": "",
        "src/shop/main.py": "import packaging\n\nname: str = packaging.__name__\n",
        "src/shop/data.json": "{}\n",
    }


def test_type_cache_knows_what_an_environment_lacks(tmp_path: Path) -> None:
    """One cache serves all environments: it must not remember for the wrong one."""
    log, slot = tmp_path / "log", tmp_path / "slot"
    slot.mkdir()
    trees = {
        name: write(tmp_path / name, small_package(dependencies))
        for name, dependencies in {"has": ["packaging"], "lacks": []}.items()
    }
    found = []
    for name in ("has", "lacks", "has"):
        environment = environments.environment(trees[name], tmp_path, PYTHON, log)
        errors, _ = checks.type_errors(trees[name], environment, slot, log)
        found.append(errors)
    assert found[0] == found[2] == []
    assert any('"packaging"' in error for error in found[1])


def test_lowest_versions_are_those_that_are_declared(tmp_path: Path) -> None:
    tree = write(tmp_path / "one", small_package(["packaging>=24.1"]))
    for lowest in (True, False):
        environment = environments.environment(
            tree, tmp_path, PYTHON, tmp_path / "log", lowest=lowest
        )
        found = list(environment.directory.rglob("packaging-24.1.dist-info"))
        assert bool(found) == lowest


@pytest.mark.parametrize("slots", [("one", "one"), ("one", "two")])
def test_type_error_of_same_size_and_time_is_reported(
    tmp_path: Path, slots: tuple[str, str]
) -> None:
    """Projects share relative paths, are rendered within one second, and caches."""
    found = []
    mistakes = {"right": "x: int = 1234\n", "wrong": 'x: int = "34"\n'}
    for (name, text), slot_name in zip(mistakes.items(), slots, strict=True):
        slot = tmp_path / slot_name
        slot.mkdir(exist_ok=True)
        config = '[tool.mypy]\nfiles = ["main.py"]\n'
        tree = write(tmp_path / name, {"main.py": text, "pyproject.toml": config})
        same_times(tree)
        lint.render_project(tree, None, {}, is_fresh=False, is_read_only=True)
        errors, _ = checks.type_errors(tree, this_environment(), slot, tmp_path / "log")
        found.append(errors)
        (cache,) = slot.glob("mypy-*")
        was_first = cache / "was first"
        if found == [[]]:
            was_first.touch()
    assert found[0] == []
    assert len(found[1]) == 1
    assert was_first.exists()


def this_environment() -> environments.Environment:
    return environments.Environment(Path(sys.prefix), {})


def wheel_errors(tmp_path: Path, files: Mapping[str, str]) -> list[str]:
    tree = write(tmp_path / "tree", files)
    place, log = tmp_path / "wheel", tmp_path / "log"
    return checks.wheel_errors(tree, this_environment(), place, log)[0]


def test_wheel_is_imported_without_its_source(tmp_path: Path) -> None:
    assert wheel_errors(tmp_path, small_package(["packaging"])) == []


def test_file_that_the_wheel_leaves_out_is_reported(tmp_path: Path) -> None:
    files = small_package(["packaging"])
    files["pyproject.toml"] += '\n[tool.uv.build-backend]\nwheel-exclude = ["*.json"]\n'
    assert wheel_errors(tmp_path, files) == ["shop/data.json is not in the wheel"]


def test_wheel_that_needs_its_source_tree_is_reported(tmp_path: Path) -> None:
    files = small_package(["packaging"]) | {
        "other.py": "",
        "src/shop/main.py": "import other\n",
    }
    (error,) = wheel_errors(tmp_path, files)
    assert error == "wheel: ModuleNotFoundError: No module named 'other'"


def test_contract_that_is_broken_is_reported(tmp_path: Path) -> None:
    files = small_package([])
    files["pyproject.toml"] += (
        '\n[tool.importlinter]\nroot_package = "shop"\n'
        '[[tool.importlinter.contracts]]\nname = "Layers"\ntype = "layers"\n'
        'containers = ["shop"]\nlayers = ["routes", "services"]\n'
    )
    files["src/shop/main.py"] = ""
    files["src/shop/routes.py"] = "import shop.services\n"
    files["src/shop/services.py"] = ""
    log = tmp_path / "log"
    tree = write(tmp_path / "good", files)
    assert checks.contract_errors(tree, this_environment(), log)[0] == []
    files["src/shop/services.py"] = "import shop.routes\n"
    tree = write(tmp_path / "bad", files)
    errors, _ = checks.contract_errors(tree, this_environment(), log)
    assert errors[0] == "contract: Layers BROKEN"


def test_every_combination_is_rendered_with_short_and_long_slugs(
    tmp_path: Path,
) -> None:
    projects = projects_of([COMBINATION], tmp_path, tmp_path, frozenset(STAGES))
    slugs = [(project.answers or {}).get("project_slug", "") for project in projects]
    assert [len(slug) for slug in slugs] == [0, 1, 40]
    assert [sorted(project.stages) for project in projects] == [
        [RENDER, TYPES, OWN_TESTS, BUILD],
        [RENDER],
        [RENDER],
    ]


def test_what_passed_from_the_same_template_is_not_rendered(tmp_path: Path) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    options = options_in(tmp_path)

    def check(tree: str, template: Path, options: Options) -> tuple[Report, Path]:
        stages = frozenset({RENDER})
        path = tmp_path / tree
        project = Project(
            "one", COMBINATION.id, path, stages, template, COMBINATION.answers
        )
        shown = Display(Console(file=io.StringIO()))
        return run([project], options, shown), path

    report, tree = check("first/one", family, options)
    assert not report.known
    assert tree.is_dir()
    again = copy_template(FAMILY_ROOT, tmp_path / "again")
    report, tree = check("second/one", again, options)
    assert report.known == {("one", RENDER)}
    assert not tree.exists()
    report, tree = check("third/one", again, replace(options, renders_all=True))
    assert not report.known
    assert tree.is_dir()
    changed = copy_template(FAMILY_ROOT, tmp_path / "changed")
    with (changed / "template" / "README.md.jinja").open("a") as stream:
        stream.write("scar \n")
    for tree_of in ("fourth/one", "fifth/one"):
        report, tree = check(tree_of, changed, options)
        assert not report.known
        assert report.failures


def test_combinations_outside_the_sample_are_only_rendered(tmp_path: Path) -> None:
    (project,) = projects_of(
        [COMBINATION], tmp_path, tmp_path, frozenset(STAGES), {COMBINATION.id}
    )
    assert project.stages == {RENDER}
    assert project.answers == COMBINATION.answers


@pytest.mark.parametrize("parts", [1, 3, 7, 1000])
def test_parts_for_several_machines_are_all_combinations_and_each_once(
    parts: int,
) -> None:
    found = [shard(COMBINATIONS, part, parts) for part in range(1, parts + 1)]
    assert [combination for part in found for combination in part] == COMBINATIONS
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b"])
def test_a_part_that_there_is_not_is_refused(
    capsys: pytest.CaptureFixture[str], part: str
) -> None:
    with pytest.raises(SystemExit):
        main(["--all", "--shard", part])
    assert "a part and the number of parts, such as 1/4." in capsys.readouterr().err


def test_selection_and_all_exclude_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--all", COMBINATION.id])
    assert caught.value.code == 2
    assert "Give a selection or --all, not both." in capsys.readouterr().err


def test_program_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    start = time.monotonic()
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! > {pids}; wait"
    outcome = processes.run(
        ["/bin/sh", "-c", script],
        directory=tmp_path,
        variables={"PATH": os.defpath},
        log=tmp_path / "log",
        seconds=0.5,
    )
    assert outcome.code == -signal.SIGKILL
    assert time.monotonic() - start < 10
    assert not is_running(int(pids.read_text("utf-8")))


def is_running(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def test_command_line_refuses_an_unknown_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["wroker=celery"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("There is no structural answer 'wroker'")
    assert error.count("\n") == 1


def test_command_line_lists_combinations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", COMBINATION.id]) == 0
    assert capsys.readouterr().out == f"{COMBINATION.id}\n"


def matrix_command(tmp_path: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "tools.matrix", COMBINATION.id]
    return [*start, "--cache", str(tmp_path / "cache"), "--jobs", "1", *words]


def test_command_line_renders_a_combination(tmp_path: Path) -> None:
    words = ("--stages", "1", "--keep", str(tmp_path / "kept"))
    done = subprocess.run(
        matrix_command(tmp_path, *words), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 combinations, 3 projects, 0 failed" in done.stdout
    assert (tmp_path / "kept" / COMBINATION.id / "main.py").is_file()


def test_interrupt_ends_a_run(tmp_path: Path) -> None:
    process = subprocess.Popen(
        matrix_command(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has it ignored, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "cache" / "slots").exists():  # the checks begin
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert output.endswith("Stopped.\n")


def test_mutants_are_of_every_framework_and_stage_and_still_fit(tmp_path: Path) -> None:
    projects = [
        mutation.mutated(mutant, COMBINATIONS, tmp_path) for mutant in mutation.MUTANTS
    ]
    assert len(projects) >= 25
    assert {mutant.stage for mutant in mutation.MUTANTS} == STAGES.keys()
    answers = [project.answers or {} for project in projects]
    frameworks = {"fastapi", "django", "flask", "none"}
    assert {one["framework"] for one in answers} == frameworks
    assert len({project.id for project in projects}) == len(projects)
