"""What teams do with a merge: they review it, finish it, take it back, or stay out."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import copier
import pytest

from python_patterns import cli
from python_patterns.grow import changelog, formats
from python_patterns.grow.report import Change, Report, Section
from repositories import commit, git
from tools.template import FAMILY_ROOT, copy_template

ANSWERS = ".copier-answers.yml"
FRAMEWORKS = ("flask", "django")


def patterns(project: Path, *words: str) -> int:
    """Run the command in this process."""
    command, *rest = words
    return cli.main([command, "--project", str(project), *rest])


def state(project: Path) -> dict[str, object]:
    """Read all files of a project but git's own, with their modes and times."""
    found: dict[str, object] = {}
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project).as_posix()
        if name.split("/")[0] == ".git" or (path.is_dir() and not path.is_symlink()):
            continue
        about = path.lstat()
        content: object = path.readlink() if path.is_symlink() else path.read_bytes()
        found[name] = (oct(about.st_mode), about.st_mtime_ns, content)
    return found


def write(project: Path, path: str, text: str) -> None:
    file = project / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def change(project: Path, path: str, old: str, new: str) -> None:
    text = (project / path).read_text("utf-8")
    assert old in text
    write(project, path, text.replace(old, new, 1))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This family in a repository of its own, with two versions.

    The second renames a module, changes the README and adds a document.
    """
    root = copy_template(FAMILY_ROOT, tmp_path_factory.mktemp("family") / "family")
    write(root, "CHANGELOG.md", "# Changelog\n\n## v1.0.0\n\n- The first.\n")
    commit(root, tag="v1.0.0")
    for name in ("package", "django"):
        paths = f"computed/paths/{name}.jinja"
        # The last of two lines for a role counts.
        text = (root / paths).read_text("utf-8")
        write(root, paths, f"{text}logs: {{{{ core_dir }}}}logging\n")
    change(root, "template/README.md.jinja", "## Check", "## How to check")
    write(root, "template/docs/extra.md", "# Extra\n")
    change(
        root,
        "CHANGELOG.md",
        "## v1.0.0\n",
        "## v1.1.0\n\n- **Logs.** The module of `logs` has\n  another name.\n"
        "- A document more.\n\n## v1.0.0\n",
    )
    commit(root, "Second", tag="v1.1.0")
    return root


@pytest.fixture(scope="module")
def made(
    template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Make projects of the first version, each set of answers once."""
    root = tmp_path_factory.mktemp("made")

    @cache
    def make(*answers: str) -> Path:
        project = root / "-".join(("project", *answers))
        copier.run_copy(
            str(template),
            project,
            data=dict(word.split("=") for word in answers),
            vcs_ref="v1.0.0",
            defaults=True,
            quiet=True,
        )
        return project

    return make


@pytest.fixture
def start(made: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Return what starts a project of the first version, in git."""

    def begin(*answers: str, name: str = "project") -> Path:
        project = tmp_path / name
        shutil.copytree(made(*answers), project)
        commit(project, "Start")
        return project

    return begin


# --- Taking a merge back, and finishing it --------------------------------------------

# Where the template's settings go when a project becomes large.
TAKEN = "src/my_service/core/settings.py"


def in_conflict(project: Path) -> Mapping[str, object]:
    """Live in a project, grow it into a conflict, and return how it was before."""
    write(project, TAKEN, "MINE = 1\n")
    # Line ends that git does not have.
    git(project, "config", "core.autocrlf", "input")
    own = b"from app.settings import Settings\r\n\r\nOWN = Settings\r\n"
    (project / "app/own.py").write_bytes(own)
    commit(project, "Work")
    (project / "app/settings.py").chmod(0o600)
    write(project, ".git/info/exclude", "*.local\n/app/__pycache__\n")
    write(project, "app/notes.local", "ignored\n")
    write(project, "app/services/notes.local", "ignored too\n")
    (project / "tests/link.local").symlink_to("../app")
    assert git(project, "status", "--porcelain") == ""
    before = state(project)
    assert patterns(project, "grow", "size=large") == 1
    assert not (project / "app/own.py").exists()
    return before


@pytest.mark.parametrize("framework", ["fastapi", *FRAMEWORKS])
def test_abort_gives_the_project_back_to_the_byte(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = start(f"framework={framework}", "size=medium", "layout=layer")
    before = in_conflict(project)
    assert "patterns abort" in capsys.readouterr().out
    assert patterns(project, "abort") == 0
    assert state(project) == before
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "stash", "list") == ""
    assert patterns(project, "abort") == cli.REFUSED
    assert capsys.readouterr().err == "patterns: there is no merge to abort.\n"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_abort_keeps_what_was_written_since(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = start(f"framework={framework}", "size=medium", "layout=layer")
    before = in_conflict(project)
    write(project, TAKEN, "RESOLVED = 1\n")
    write(project, "new.py", "NEW = 1\n")
    git(project, "add", "new.py", TAKEN)
    write(project, "src/my_service/notes.txt", "untracked\n")
    assert patterns(project, "abort") == 0
    assert f"  {TAKEN}\n" in capsys.readouterr().out
    after = state(project)
    assert {path: after.pop(path) for path in before} == before
    assert sorted(after) == ["new.py", "src/my_service/notes.txt"]
    assert git(project, "status", "--porcelain").splitlines() == [
        "A  new.py",
        "?? src/my_service/notes.txt",
    ]
    assert git(project, "stash", "show", "--name-only").split() == [TAKEN]
    assert git(project, "show", f"stash@{{0}}:{TAKEN}") == "RESOLVED = 1\n"


def test_abort_in_a_folder_of_a_larger_repository(
    start: Callable[..., Path], tmp_path: Path
) -> None:
    made = start(name="made")
    shutil.rmtree(made / ".git")
    top = tmp_path / "top"
    shutil.copytree(made, top / "services/shop")
    shutil.copytree(made, top / "services/mail")
    write(top, "other.txt", "one\n")
    commit(top)
    write(top, "other.txt", "two\n")
    git(top, "add", "other.txt")
    before = state(top)
    for name in ("shop", "mail"):
        assert patterns(top / "services" / name, "grow", "layout=feature") == 0
    for name in ("shop", "mail"):
        assert patterns(top / "services" / name, "abort") == 0
    assert state(top) == before
    assert git(top, "status", "--porcelain") == "M  other.txt\n"


def test_abort_after_a_commit_is_refused(
    start: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project = start()
    assert patterns(project, "grow", "worker=background") == 0
    commit(project)
    before = state(project)
    for word in ("abort", "continue"):
        assert patterns(project, word) == cli.REFUSED
        assert f"no merge to {word}: it was committed" in capsys.readouterr().err
    assert state(project) == before
    assert patterns(project, "grow", "worker=none") == 0


def test_abort_leaves_what_is_in_the_way(
    start: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project = start()
    assert patterns(project, "grow", "size=large") == 0
    write(project, "app/main.py/notes.txt", "mine\n")
    assert patterns(project, "abort") == cli.REFUSED
    assert "notes.txt is where app/main.py comes back" in capsys.readouterr().err
    assert (project / "app/main.py/notes.txt").is_file()
    assert (project / "src/my_service/main.py").is_file()


def test_a_second_step_waits_for_the_first(
    start: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project = start()
    assert patterns(project, "grow", "worker=background") == 0
    before = state(project)
    for words in ("update", "grow --dry-run layout=feature"):
        assert patterns(project, *words.split()) == cli.REFUSED
        assert "finish it with patterns continue and git" in capsys.readouterr().err
    assert state(project) == before


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_continue_says_what_is_left_and_then_that_all_is_merged(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = start(f"framework={framework}", "size=medium", "layout=layer")
    in_conflict(project)

    def said() -> str:
        capsys.readouterr()
        assert patterns(project, "continue") == 1
        return capsys.readouterr().out

    assert f"  {TAKEN}: has conflict markers\n" in said()
    git(project, "add", TAKEN)
    assert f"  {TAKEN}: has conflict markers\n" in said()
    write(project, TAKEN, "import my_service.nowhere\n")
    assert f"  {TAKEN}: changed since it was added: git add it again\n" in said()
    git(project, "add", TAKEN)
    assert "imports from my_service.nowhere, which is not there" in said()
    assert "imports Settings from my_service.core.settings, which has none" in said()
    theirs = git(project, "show", "HEAD:app/settings.py")
    write(project, TAKEN, theirs.replace("app.", "my_service.core."))
    git(project, "add", TAKEN)
    assert patterns(project, "continue") == 0
    assert capsys.readouterr().out == "All is merged. Commit it with: git commit\n"
    commit(project)
    assert patterns(project, "continue") == cli.REFUSED
    assert "there is no merge to continue" in capsys.readouterr().err


# --- What a project keeps to itself ---------------------------------------------------


@pytest.mark.parametrize("framework", ["fastapi", *FRAMEWORKS])
def test_own_paths_are_left_alone(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = start(f"framework={framework}", "size=medium", "layout=layer")
    change(project, "README.md", "## Check", "## Check twice")
    shutil.rmtree(project / "docs")
    write(project, "deploy/settings.toml", "run = 'app.logs'\n")
    commit(project)
    assert patterns(project, "own", "README.md", "docs", "deploy/", "app/logs.py") == 0
    commit(project)
    before = state(project)

    assert patterns(project, "update") == 0
    said = capsys.readouterr().out
    for path in ("README.md", "docs/extra.md", "app/logs.py"):
        assert f"  left alone  {path} (your own, by .patterns-own)\n" in said
    assert "deploy" not in said.partition("left alone")[2]
    after = state(project)
    for path in ("README.md", "deploy/settings.toml", "app/logs.py", ".patterns-own"):
        assert after[path] == before[path]
    assert not (project / "docs").exists()
    assert not (project / "app/logging.py").exists()
    texts = [path.read_text("utf-8") for path in (project / "app").rglob("*.py")]
    assert any("app.logs" in text for text in texts)
    assert not any("app.logging" in text for text in texts)
    commit(project)

    assert patterns(project, "own", "--give-back", "README.md", "docs") == 0
    commit(project)
    assert patterns(project, "grow", "size=large") == 0
    assert "## Check twice" in (project / "README.md").read_text("utf-8")
    assert state(project)["app/logs.py"] == before["app/logs.py"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_removed_example_does_not_come_back_somewhere_else(
    start: Callable[..., Path], framework: str
) -> None:
    """What is left of it stays where it is, to the byte."""
    project = start(f"framework={framework}", "size=medium", "layout=feature")
    shutil.rmtree(project / "app/products")
    write(project, "app/products/service.py", "MINE = 'app.users.service'\n")
    commit(project)
    assert patterns(project, "own", "app/products") == 0
    commit(project)
    # Its tests were left, and import it: that is named.
    assert patterns(project, "grow", "layout=layer", "worker=celery") in {0, 1}
    assert (project / "app/worker.py").is_file()
    assert [path.name for path in project.glob("app/**/*product*/**/*.py")] == [
        "service.py"
    ]
    text = (project / "app/products/service.py").read_text("utf-8")
    assert text == "MINE = 'app.users.service'\n"
    assert not [*project.glob("app/*/products.py")]


def test_own_paths_are_listed_and_given_back(
    start: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project = start("size=small")

    def own(*words: str) -> list[str]:
        capsys.readouterr()
        assert patterns(project, "own", *words) == 0
        return capsys.readouterr().out.splitlines()

    assert own() == ["No path: the template may change every file."]
    told = "Commit .patterns-own, so that this holds for everybody."
    # Nobody had it yet, but the template knows it.
    git(project, "rm", "-q", "test_main.py")
    git(project, "commit", "-q", "--amend", "-m", "Start")
    git(project, "reflog", "expire", "--expire=now", "--all")
    assert own("./README.md", "test_main.py") == ["README.md", "test_main.py", told]
    assert own("README.md") == ["README.md", "test_main.py", told]
    with (project / ".patterns-own").open("a", encoding="utf-8") as file:
        file.write("\n# Ours since May.\nmain.py")
    assert own(str(project / "pyproject.toml"))[2:4] == ["main.py", "pyproject.toml"]
    assert own("--give-back", "README.md", "pyproject.toml") == [
        "test_main.py",
        "main.py",
        told,
    ]
    assert "# Ours since May.\n" in (project / ".patterns-own").read_text("utf-8")
    own("--give-back", "test_main.py", "main.py")
    assert own() == ["No path: the template may change every file."]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("REDME.md", "REDME.md is neither in the project, nor was it ever, nor is it"),
        ("../other", "../other is not inside the project"),
        (".", ". is not inside the project"),
        ("/etc/hosts", "/etc/hosts is not inside the project"),
        (".copier-answers.yml", "cannot be left to the project"),
        (".git/config", "cannot be left to the project"),
        ("--give-back README.md", "README.md is not in .patterns-own"),
        ("--give-back app/main.py", "app/main.py is not in .patterns-own; it belongs"),
        ("--give-back", "name the paths to give back"),
    ],
)
def test_bad_own_paths_are_refused_in_a_sentence(
    start: Callable[..., Path],
    words: str,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = start()
    assert patterns(project, "own", "app") == 0
    before = state(project)
    capsys.readouterr()
    assert patterns(project, "own", *words.split()) == cli.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert state(project) == before


@pytest.mark.parametrize("command", ["grow", "update"])
def test_a_bad_line_among_own_paths_is_refused(
    start: Callable[..., Path], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = start()
    write(project, ".patterns-own", "README.md\n\n../other\n")
    commit(project)
    assert patterns(project, command) == cli.REFUSED
    assert "'../other' in line 3 of .patterns-own is not in" in capsys.readouterr().err


# --- A review -------------------------------------------------------------------------

KEYS = [
    *("format", "command", "status", "exit_code", "dry_run", "message", "template"),
    *("answers", "changelog", "files", "checks"),
]
NEWS = [
    {
        "version": "v1.1.0",
        "entries": [
            "**Logs.** The module of `logs` has\n  another name.",
            "A document more.",
        ],
    }
]


def lived(start: Callable[..., Path], framework: str, heading: str) -> Path:
    """Return a project in which several files were edited."""
    project = start(f"framework={framework}", "size=medium", "layout=layer")
    change(project, "README.md", "## Check", heading)
    logs = (project / "app/logs.py").read_text("utf-8")
    write(project, "app/logs.py", f"{logs}\n\nMINE = 1\n")
    write(project, "app/own.py", "from app.logs import MINE\n\nprint(MINE)\n")
    (project / os.fsdecode(b"caf\xe9.bin")).write_bytes(b"\0")
    commit(project)
    return project


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_dry_run_shows_lines_with_reasons(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = lived(start, framework, "## Check\n\nMine.")
    before = state(project)
    assert patterns(project, "update", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "commit: v1.0.0 -> v1.1.0\n" in said
    assert "The changelog of the template, v1.1.0:\n- **Logs.** The module" in said
    for lines in (
        "README.md: changed here and in the template (+1 -1)\n--- README.md\n",
        "-## Check\n+## How to check\n",
        "app/own.py: names what moved (+1 -1)\n--- app/own.py\n+++ app/own.py\n@@ ",
        "-from app.logs import MINE\n+from app.logging import MINE\n",
        "docs/extra.md: new in the template (+1 -0)\n",
    ):
        assert lines in said
    assert "+# Extra" not in said
    assert said.endswith("\nNothing was changed: this was a dry run.\n")
    assert state(project) == before


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_result_as_json(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = lived(start, framework, "## Checks")

    def told(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        code = patterns(project, *words, "--json")
        document = json.loads(capsys.readouterr().out)
        assert list(document) == KEYS
        assert (document["format"], document["exit_code"]) == (1, code)
        found: dict[str, Any] = document
        return found

    dry = told("update", "--dry-run")
    assert (dry["status"], dry["exit_code"]) == ("conflicts", 1)
    assert (dry["command"], dry["dry_run"], dry["message"]) == ("update", True, None)
    assert dry["template"]["from"]["version"] == "v1.0.0"
    assert dry["template"]["to"]["version"] == "v1.1.0"
    assert dry["changelog"] == NEWS
    files = {one["path"]: one for one in dry["files"]}
    assert {tuple(one) for one in dry["files"]} == {
        ("path", "from", "change", "reason", "advice", "diff")
    }
    readme = files["README.md"]
    assert readme["change"] == "conflict"
    assert readme["reason"] == "changed here and in the template"
    assert "remove the markers; then git add" in readme["advice"]
    assert "+<<<<<<< this project\n" in readme["diff"]
    moved = files["app/logging.py"]
    assert (moved["from"], moved["change"]) == ("app/logs.py", "merged")
    assert moved["reason"] == "changed here, moved in the template"
    assert moved["diff"] is None
    assert files["app/own.py"]["change"] == "rewritten"

    done = told("update")
    assert {**done, "dry_run": True} == dry
    refused = told("grow", "size=large")
    assert (refused["status"], refused["exit_code"]) == ("refused", 2)
    assert refused["message"].startswith("the last grow or update is not committed")
    assert refused["template"] == {"from": None, "to": None}
    assert patterns(project, "abort") == 0
    moved = told("grow", "size=large", "--dry-run")
    assert moved["answers"]["size"] == {"from": "medium", "to": "large"}
    assert moved["changelog"] == []
    assert told("grow")["status"] == "unchanged"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_result_as_the_body_of_a_pull_request(
    start: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = lived(start, framework, "## Checks")
    assert patterns(project, "update", "--markdown") == 1
    body = capsys.readouterr().out
    for text in (
        "## Update from v1.0.0 to v1.1.0 of the template\n",
        "- `README.md`: changed here and in the template. To do: keep what is right",
        "#### v1.1.0\n\n- **Logs.** The module of `logs` has\n  another name.\n- A do",
        "| `app/logs.py` → `app/logging.py` | merged | changed here, moved in the",
        "| `app/own.py` | rewritten | names what moved (+1 -1) |\n",
        "<details><summary>app/own.py: names what moved (+1 -1)</summary>\n\n```diff\n",
        "````diff\n--- README.md\n",
    ):
        assert text in body
    assert patterns(project, "grow", "size=large", "--markdown") == cli.REFUSED
    body = capsys.readouterr().out
    assert body.startswith("## patterns grow: refused\n\nNot done: the last grow or")


def test_a_body_that_is_too_long_leaves_lines_out() -> None:
    lines = "--- a\n+++ a\n@@ -1 +1 @@\n" + "+x\n" * 15_000
    files = [Change(f"{name}.py", "changed", "why", diff=lines) for name in "abc"]
    body = formats.as_markdown(Report("grow", "merged", files=files))
    assert len(body) < 65_536
    assert body.count("<details>") == 1
    assert body.endswith("The lines of 2 more files are left out here.")


def test_what_is_new_in_a_changelog() -> None:
    old = "# Changelog\n\n## Unreleased\n\n- One\n  thing.\n\n## v1\n\nZero.\n"
    new = (
        "# Changelog\n\n## Unreleased\n\nWords.\n\n- Three.\n\n  More of it.\n\n"
        "## v2\n\n- Two.\n- One thing.\n\n## v1\n\nZero.\n"
    )
    assert changelog.between(old, new) == [
        Section("Unreleased", ["Words.", "Three.\n\n  More of it."]),
        Section("v2", ["Two."]),
    ]


@pytest.mark.parametrize("command", ["grow", "update"])
def test_help_says_the_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "exit codes: 0 merged, or nothing changes; 1 conflicts" in said


# --- The project's own checks ---------------------------------------------------------


@pytest.fixture
def checked(
    template: Path, start: Callable[..., Path], tmp_path: Path
) -> Callable[..., Path]:
    """Return what makes a project whose checks take a moment: no types, no tests."""

    def begin(*answers: str) -> Path:
        family = tmp_path / "quick"
        git(tmp_path, "clone", "-q", str(template), str(family))
        file = family / "computed/commands.yml"
        text, before, rest = file.read_text("utf-8").partition("check_commands:\n")
        quick = "  type: yaml\n  when: false\n  default: |\n" + "".join(
            f"    - {{{{ run }}}}{command}\n"
            for command in ("ruff check --select F", "python -m compileall -q .")
        )
        _, routers, rest = rest.partition("# The routers of the application")
        file.write_text(f"{text}{before}{quick}{routers}{rest}", encoding="utf-8")
        commit(family, "Quick", tag="v1.2.0")
        project = start(*answers)
        change(project, ANSWERS, str(template), str(family))
        commit(project)
        return project

    return begin


@pytest.mark.parametrize(
    ("framework", "command"),
    [("flask", "update"), ("django", "grow worker=celery --ref v1.2.0")],
)
def test_checks_that_fail_leave_the_project_as_it_was(
    checked: Callable[..., Path],
    framework: str,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = checked(f"framework={framework}", "size=small")
    write(project, "own.py", "import os\n")
    write(project, ".git/info/exclude", "*.local\n")
    write(project, "main.local", "ignored\n")
    commit(project)
    before, refs = state(project), git(project, "for-each-ref")
    index = (project / ".git/index").read_bytes()
    capsys.readouterr()

    assert patterns(project, *command.split(), "--verify") == 1
    told = capsys.readouterr()
    assert "  FAILED      ruff check --select F\n" in told.out
    assert "`os` imported but unused" in told.out
    assert "  passed      python -m compileall -q .\n" in told.out
    assert told.out.endswith(
        "Nothing was changed, because of the checks that failed.\n"
    )
    assert "Running ruff check --select F …\n" in told.err
    assert "Writing" not in told.err
    assert (state(project), git(project, "for-each-ref")) == (before, refs)
    assert (project / ".git/index").read_bytes() == index
    assert sorted(path.name for path in (project / ".git").glob("patterns*")) == []

    write(project, "own.py", "X = 1\n")
    commit(project)
    assert patterns(project, *command.split(), "--verify", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "merged"
    assert [(one["command"], one["passed"]) for one in document["checks"]] == [
        ("ruff check --select F", True),
        ("python -m compileall -q .", True),
    ]
    assert git(project, "status", "--porcelain") != ""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_continue_runs_the_checks_of_what_was_in_conflict(
    checked: Callable[..., Path], framework: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project = checked(f"framework={framework}", "size=small")
    change(project, "README.md", "## Check", "## Checks")
    commit(project)
    assert patterns(project, "update", "--verify") == 1
    assert "run patterns continue --verify.\n" in capsys.readouterr().out
    write(project, "README.md", "# Mine\n")
    write(project, "own.py", "import os\n")
    git(project, "add", "README.md", "own.py")
    assert patterns(project, "continue", "--verify") == 1
    assert "  FAILED      ruff check --select F\n" in capsys.readouterr().out
    write(project, "own.py", "X = 1\n")
    git(project, "add", "own.py")
    assert patterns(project, "continue", "--verify") == 0
    assert "All is merged" in capsys.readouterr().out


WAITS = """
import os, pathlib, time
pathlib.Path(os.environ["SAID"]).write_text(f"{os.getpid()}.")
time.sleep(600)
"""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_checks_end_with_the_command(
    checked: Callable[..., Path], tmp_path: Path, framework: str
) -> None:
    project = checked(f"framework={framework}", "size=small")
    change(
        tmp_path / "quick",
        "computed/commands.yml",
        "    - {{ run }}ruff check",
        "    - python waits.py\n    - {{ run }}ruff check",
    )
    commit(tmp_path / "quick", tag="v1.3.0")
    write(project, "waits.py", WAITS)
    commit(project)
    before, said = state(project), tmp_path / "said"
    process = subprocess.Popen(
        (sys.executable, "-m", "python_patterns", "update", "--verify"),
        cwd=project,
        env={**os.environ, "SAID": str(said)},
        stderr=subprocess.PIPE,
    )
    while not (said.exists() and said.read_text("utf-8").endswith(".")):
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    _, told = process.communicate()
    assert process.returncode == cli.INTERRUPTED
    assert told.endswith(b"patterns: stopped; nothing was changed.\n")
    words = ("ps", "-o", "stat=", "-p", said.read_text("utf-8").rstrip("."))
    left = subprocess.run(words, capture_output=True, check=False).stdout.strip()
    # Gone, or dead and nobody's child.
    assert left.startswith(b"Z") or not left
    assert state(project) == before


def test_without_uv_the_python_that_runs_checks(
    checked: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = checked("size=medium", "framework=fastapi")
    git_only = project.parent / "bin"
    git_only.mkdir()
    (git_only / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(git_only))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr("shutil.which", partial(_which_but_uv, shutil.which))
    assert patterns(project, "update", "--verify", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "  passed      uv run ruff check --select F\n" in said
    assert "  passed      uv run python -m compileall -q .\n" in said


def _which_but_uv(
    which: Callable[..., str | None], name: str, path: str | None = None
) -> str | None:
    return None if name == "uv" else which(name, path=path)


def test_a_version_without_checks_is_refused(
    checked: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = checked("size=small")
    family = tmp_path / "quick"
    (file,) = family.glob("computed/commands.yml")
    text = file.read_text("utf-8").replace(
        "default: |\n    - {{ run }}ruff", "default: ''"
    )
    head, _, rest = text.partition("default: ''")
    _, _, rest = rest.partition("# The routers")
    file.write_text(f"{head}default: ''\n# The routers{rest}", encoding="utf-8")
    commit(family, tag="v1.3.0")
    assert patterns(project, "update", "--verify") == cli.REFUSED
    assert "the template at v1.3.0 does not say which checks" in capsys.readouterr().err


# --- A template that moved ------------------------------------------------------------


@pytest.mark.parametrize("case", [("flask", "update"), ("django", "grow")])
def test_a_template_that_moved_house(
    template: Path,
    start: Callable[..., Path],
    tmp_path: Path,
    case: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    framework, command = case
    project = start(f"framework={framework}", "size=medium", "layout=layer")
    change(project, ANSWERS, str(template), str(tmp_path / "gone"))
    logs = (project / "app/logs.py").read_text("utf-8")
    write(project, "app/logs.py", f"{logs}\n\nMINE = 1\n")
    commit(project)
    assert patterns(project, command) == cli.REFUSED
    assert "if the template moved, name its new address by --source" in (
        capsys.readouterr().err
    )
    moved = tmp_path / "moved"
    git(tmp_path, "clone", "-q", str(template), str(moved))
    source = os.path.relpath(moved)
    assert patterns(project, command, "--source", source) == 0
    assert f"source: {tmp_path / 'gone'} -> {moved}\n" in capsys.readouterr().out
    assert f"_src_path: {moved}\n" in (project / ANSWERS).read_text("utf-8")
    name = "logging" if command == "update" else "logs"
    assert (project / f"app/{name}.py").read_text("utf-8").endswith("MINE = 1\n")
    commit(project)
    assert patterns(project, "update", "--dry-run") == 0


def _unrelated(template: Path, directory: Path) -> str:
    shutil.copytree(template, directory / "other")
    shutil.rmtree(directory / "other/.git")
    commit(directory / "other", tag="v2.0.0")
    return str(directory / "other")


def _shallow(template: Path, directory: Path) -> str:
    words = ("clone", "-q", "--depth=1", template.as_uri(), "other")
    git(directory, *words)
    return str(directory / "other")


@pytest.mark.parametrize(
    "case",
    [
        (_unrelated, "does not have v1.0.0, the version that this project is from"),
        (_shallow, "fetch --unshallow --tags"),
        (lambda *_: "/nowhere", "/nowhere is no repository that git can read"),
    ],
)
def test_a_source_that_is_not_the_template_is_refused(
    template: Path,
    start: Callable[..., Path],
    tmp_path: Path,
    case: tuple[Callable[..., str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, sentence = case
    project = start()
    before = state(project)
    source = make(template, tmp_path)
    assert patterns(project, "update", "--source", source) == cli.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert line.count("nothing was changed") == 1
    assert state(project) == before
