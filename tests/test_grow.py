"""Growing: edits move along, nothing is lost in silence, nothing is done by halves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import yaml

from python_patterns import cli
from python_patterns.git import Repository
from python_patterns.grow import land
from python_patterns.grow.imports import Rewriting
from python_patterns.grow.modules import Modules
from python_patterns.grow.moves import Moves
from python_patterns.grow.project import check_is_newer
from python_patterns.grow.report import UNDO, RefusedError
from repositories import commit, git
from tools.grow_pairs import edits
from tools.template import FAMILY_ROOT, copy_template

ANSWERS = ".copier-answers.yml"


def patterns(project: Path, *words: str) -> int:
    """Run the command in this process."""
    command, *rest = words
    return cli.main([command, "--project", str(project), *rest])


def snapshot(project: Path) -> dict[str, bytes]:
    """Read all files of a project but git's own."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(project).parts
    }


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This family in a repository of its own, with three versions.

    The second renames a module, adds one and changes a line; the third brings a file
    that projects may have already.
    """
    root = copy_template(FAMILY_ROOT, tmp_path_factory.mktemp("family") / "family")
    commit(root, tag="v1.0.0")
    modules = root / "computed/paths/package.jinja"
    text = modules.read_text("utf-8")
    renamed = text.replace("logs: {{ core_dir }}logs", "logs: {{ core_dir }}logging")
    assert renamed != text
    modules.write_text(renamed, encoding="utf-8")
    commit(root, "Second", tag="v1.1.0")
    core = root / "template/{{ shared }}"
    (core / "extra.py").write_text('"""More."""\n\nEXTRA = True\n', encoding="utf-8")
    (readme,) = root.glob("template/README.md.jinja")
    text = readme.read_text("utf-8")
    readme.write_text(f"{text}\nThe third version.\n", encoding="utf-8")
    commit(root, "Third", tag="v1.2.0")
    return root


@pytest.fixture(scope="session")
def made(
    template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Make projects of the template, each set of answers once."""
    known: dict[tuple[str, ...], Path] = {}

    def make(*answers: str, ref: str = "v1.0.0", source: str = "") -> Path:
        key = (*answers, ref, source)
        if key not in known:
            known[key] = tmp_path_factory.mktemp("made") / "project"
            copier.run_copy(
                source or str(template),
                known[key],
                data=dict(word.split("=") for word in answers),
                vcs_ref=ref,
                defaults=True,
                quiet=True,
            )
        return known[key]

    return make


@pytest.fixture
def project(made: Callable[..., Path], tmp_path: Path) -> Path:
    """The default project, in git."""
    return start(made(), tmp_path / "project")


def start(source: Path, destination: Path) -> Path:
    shutil.copytree(source, destination)
    commit(destination, "Start")
    return destination


def undo(project: Path) -> None:
    """Run what the command prints as the way back."""
    for command in UNDO.split(" && "):
        git(project, *command.split()[1:])


def edited(project: Path) -> Path:
    """Make the standard set of edits in a project."""
    edits.edit(project)
    commit(project, "Edits")
    return project


# --- What is written ------------------------------------------------------------------


def test_without_edits_it_is_a_fresh_project(
    project: Path, made: Callable[..., Path]
) -> None:
    assert patterns(project, "grow", "size=large", "worker=celery") == 0
    assert snapshot(project) == snapshot(
        made("size=large", "layout=layer", "worker=celery")
    )
    assert git(project, "diff", "--name-only") == ""
    assert "R " in git(project, "status", "--porcelain")


def test_a_copy_of_a_project_grows(project: Path, tmp_path: Path) -> None:
    """Its files are others for git, which knows them by inode and time."""
    copied = tmp_path / "copied"
    shutil.copytree(project, copied, copy_function=shutil.copy)
    assert patterns(copied, "grow", "worker=background") == 0


def test_edits_move_along(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(project)
    before = snapshot(project)

    assert patterns(project, "grow", "size=large", "layout=feature", "--dry-run") == 0
    listed = capsys.readouterr().out
    assert snapshot(project) == before
    assert git(project, "status", "--porcelain") == ""
    for line in (
        "moved       app/services/products.py -> src/my_service/products/service.py",
        "merged      src/my_service/core/settings.py",
        "moved       app/my_own.py -> src/my_service/my_own.py",
        "removed     app/services/__init__.py",
        "added       src/my_service/products/__init__.py",
    ):
        assert f"  {line}\n" in listed

    assert patterns(project, "grow", "size=large", "layout=feature") == 0
    after = {path: text.decode() for path, text in snapshot(project).items()}
    assert edits.lost("".join(after.values())) == []
    assert not any(path.startswith("app/") for path in after)
    own = after["src/my_service/my_own.py"]
    assert "from my_service.core.settings import get_settings\n" in own
    assert "from my_service.my_own import words\n" in after["tests/unit/test_my_own.py"]
    assert edits.METHOD in after["src/my_service/products/service.py"]

    undo(project)
    assert git(project, "status", "--porcelain") == ""
    assert snapshot(project) == before


def test_modules_of_a_new_feature_move_as_the_others_did(project: Path) -> None:
    for layer, text in {
        "models": "ORDERS = 1\n",
        "services": "from app.models.orders import ORDERS\n\nCOUNT = ORDERS\n",
    }.items():
        path = project / f"app/{layer}/orders.py"
        path.write_text(f'"""Orders."""\n\n{text}', encoding="utf-8")
    (project / "app/clients").mkdir()
    (project / "app/clients/__init__.py").touch()
    (project / "app/clients/post.py").write_text(
        "from app.services import orders\n\nprint(orders.COUNT)\n", encoding="utf-8"
    )
    commit(project)

    assert patterns(project, "grow", "layout=feature") == 0
    service = (project / "app/orders/service.py").read_text("utf-8")
    assert "from app.orders.models import ORDERS\n" in service
    assert (project / "app/orders/__init__.py").is_file()
    client = (project / "app/clients/post.py").read_text("utf-8")
    assert client.startswith("from app.orders import service as orders\n")

    commit(project)
    assert patterns(project, "grow", "layout=layer") == 0
    service = (project / "app/services/orders.py").read_text("utf-8")
    assert "from app.models.orders import ORDERS\n" in service
    assert not (project / "app/orders").exists()


def test_two_files_of_the_users_do_not_meet(project: Path) -> None:
    for directory, text in (("app", "FIRST = 1\n"), ("src/my_service", "SECOND = 2\n")):
        path = project / directory / "own.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    commit(project)
    assert patterns(project, "grow", "size=large") == 0
    texts = [path.read_text("utf-8") for path in sorted(project.rglob("own.py"))]
    assert texts == ["FIRST = 1\n", "SECOND = 2\n"]


def test_an_update_renames_a_module_and_keeps_its_edits(
    project: Path, made: Callable[..., Path]
) -> None:
    logs = project / "app/logs.py"
    logs.write_text(f"{logs.read_text('utf-8')}\n\nMINE = 1\n", encoding="utf-8")
    commit(project)
    assert patterns(project, "update") == 0
    text = (project / "app/logging.py").read_text("utf-8")
    assert text.endswith("\n\nMINE = 1\n")
    assert not logs.exists()
    fresh = snapshot(made(ref="v1.2.0"))
    assert snapshot(project) == {**fresh, "app/logging.py": text.encode()}
    assert yaml.safe_load((project / ANSWERS).read_text("utf-8"))["_commit"] == "v1.2.0"


def test_growing_stays_at_its_version_unless_told(project: Path) -> None:
    assert patterns(project, "grow", "worker=background") == 0
    assert "_commit: v1.0.0\n" in (project / ANSWERS).read_text("utf-8")
    commit(project)
    assert patterns(project, "grow", "worker=none", "--ref", "v1.1.0") == 0
    assert "_commit: v1.1.0\n" in (project / ANSWERS).read_text("utf-8")


def test_a_conflict_is_gits_and_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = project / "app/settings.py"
    text = settings.read_text("utf-8").replace("///app.db", "///shop.db")
    settings.write_text(text, encoding="utf-8")
    (project / "app/services/products.py").write_text("# Mine\n", encoding="utf-8")
    commit(project)
    assert patterns(project, "grow", "database=none") == 1
    output = capsys.readouterr().out
    assert "  app/settings.py: changed here and in the template\n" in output
    assert "app/services/products.py: changed here, gone from the template\n" in output
    unmerged = git(project, "diff", "--name-only", "--diff-filter=U").split()
    assert unmerged == ["app/services/products.py", "app/settings.py"]
    assert "<<<<<<< this project\n" in settings.read_text("utf-8")
    undo(project)
    assert git(project, "status", "--porcelain") == ""


def test_a_conflict_in_a_file_that_moved_can_be_undone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path in conflict is not in the last commit."""
    (project / "app/main.py").write_text("# Mine\n", encoding="utf-8")
    commit(project)
    before = snapshot(project)
    assert patterns(project, "grow", "size=large") == 1
    assert "src/my_service/main.py: changed here and" in capsys.readouterr().out
    undo(project)
    assert git(project, "status", "--porcelain") == ""
    assert snapshot(project) == before


def test_what_has_to_be_awaited_now_is_a_conflict(
    made: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = start(made("concurrency=sync"), tmp_path / "project")
    (project / "app/own.py").write_text(
        "from app.services.products import ProductService\n\n\n"
        "def first(service: ProductService) -> object:\n"
        "    return service.page(None)\n",
        encoding="utf-8",
    )
    commit(project)
    assert patterns(project, "grow", "concurrency=async") == 1
    assert "app/own.py: page has to be awaited now" in capsys.readouterr().out
    assert git(project, "ls-files", "--unmerged").endswith("\tapp/own.py\n")


# --- What is refused ------------------------------------------------------------------


def _dirty(project: Path) -> None:
    (project / "README.md").write_text("Mine\n", encoding="utf-8")


def _untracked(project: Path) -> None:
    (project / "notes.md").write_text("Mine\n", encoding="utf-8")


def _no_git(project: Path) -> None:
    shutil.rmtree(project / ".git")


def _no_answers(project: Path) -> None:
    (project / ANSWERS).unlink()
    commit(project)


def _no_source(project: Path) -> None:
    path = project / ANSWERS
    text = path.read_text("utf-8").replace("_src_path: ", "# ")
    path.write_text(text, encoding="utf-8")
    commit(project)


def _no_version(project: Path) -> None:
    path = project / ANSWERS
    text = path.read_text("utf-8").replace("_commit: v1.0.0\n", "")
    path.write_text(text, encoding="utf-8")
    commit(project)


def _merging(project: Path) -> None:
    (project / ".git/MERGE_HEAD").write_text("", encoding="utf-8")


def _in_the_way(project: Path) -> None:
    (project / ".gitignore").write_text("src/\n", encoding="utf-8")
    commit(project)
    path = project / "src/my_service/main.py"
    path.parent.mkdir(parents=True)
    path.write_text("Mine\n", encoding="utf-8")


def _ignored(project: Path, path: str, content: str = "notes\n") -> None:
    """Have git ignore a path, and write something there."""
    with (project / ".git/info/exclude").open("a", encoding="utf-8") as file:
        file.write(f"/{path}\n")
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(content, encoding="utf-8")


def _ignored_file_for_a_directory(project: Path) -> None:
    _ignored(project, "app/jobs")


def _ignored_link_for_a_directory(project: Path) -> None:
    _ignored(project, "elsewhere/notes")
    (project / ".git/info/exclude").write_text("/app/jobs\n/elsewhere\n", "utf-8")
    (project / "app/jobs").symlink_to("../elsewhere")


def _ignored_directory_for_a_file(project: Path) -> None:
    _ignored(project, "app/worker.py/notes")


def _hidden_changes(project: Path) -> None:
    git(project, "update-index", "--assume-unchanged", "README.md")
    (project / "README.md").write_text("Mine\n", encoding="utf-8")


def _nothing(_project: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "words", "sentence"),
    [
        (_dirty, "size=large", "README.md not committed"),
        (_untracked, "size=large", "notes.md not committed"),
        (_no_git, "size=large", "is not in git"),
        (_no_answers, "size=large", "-answers.yml: get it back with git checkout "),
        (_no_source, "size=large", "add a line with its address or directory, such as"),
        (_no_version, "size=large", "has no _commit"),
        (_merging, "size=large", "a merge, rebase or the like is going on"),
        (_in_the_way, "size=large", "main.py would be overwritten and is not in git"),
        (_ignored_file_for_a_directory, "worker=celery", "app/jobs would be over"),
        (_ignored_link_for_a_directory, "worker=celery", "app/jobs would be over"),
        (_ignored_directory_for_a_file, "worker=celery", "worker.py/notes would be"),
        (_hidden_changes, "worker=celery", "README.md has changes that git was told"),
        (_nothing, "sise=large", "did you mean size? The template has no"),
        (_nothing, "colour=red", "the template has no question 'colour': take"),
        (_nothing, "size=huge", "size"),
        (_nothing, "framework=flask concurrency=async", "concurrency"),
        (_nothing, "websocket=yes", "does not ask 'websocket' with these answers"),
        (_nothing, "large", "'large' is not of the form answer=value"),
        (_nothing, "size=large --ref v9", "v9"),
    ],
)
def test_it_refuses_with_one_sentence_and_changes_nothing(
    project: Path,
    prepare: Callable[[Path], None],
    words: str,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(project)
    before = snapshot(project)
    assert patterns(project, "grow", *words.split()) == cli.REFUSED
    told = capsys.readouterr()
    assert told.out == ""
    *steps, last = told.err.splitlines()
    assert sentence in last
    # What is not known from the answers takes a merge.
    assert steps == [] or "would be over" in last
    assert snapshot(project) == before


@pytest.mark.parametrize("command", ["grow", "update"])
def test_a_template_without_its_history_says_what_to_do(
    template: Path,
    project: Path,
    tmp_path: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", template.as_uri(), str(shallow))
    path = project / ANSWERS
    text = path.read_text("utf-8").replace(str(template), str(shallow))
    path.write_text(text, encoding="utf-8")
    commit(project)
    assert patterns(project, command) == cli.REFUSED
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"git -C {shallow} fetch --unshallow --tags" in last


def test_several_answers_are_a_list(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert patterns(project, "grow", "infrastructure=redis") == cli.REFUSED
    assert "write several answers as name=[one,two]" in capsys.readouterr().err
    assert patterns(project, "grow", "infrastructure=[redis]") == 0


def test_it_says_what_it_does(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert patterns(project, "grow", "worker=background") == 0
    assert capsys.readouterr().err.splitlines() == [
        "Rendering v1.0.0 with the answers of before …",
        "Rendering v1.0.0 with the new answers …",
        "Merging, and checking imports …",
        "Writing …",
    ]


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_an_ignored_file_is_not_overwritten(
    made: Callable[..., Path],
    tmp_path: Path,
    framework: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = start(
        made(f"framework={framework}", "layout=layer"), tmp_path / "project"
    )
    directory = "app/tasks" if framework == "django" else "app/jobs"
    _ignored(project, directory)
    assert patterns(project, "grow", "worker=celery") == cli.REFUSED
    assert f"{directory} would be overwritten" in capsys.readouterr().err
    assert (project / directory).read_text("utf-8") == "notes\n"


@pytest.mark.parametrize("old", ["v1.2.0-3-g1234567", "v1.10.0", "1.3"])
def test_an_update_is_no_step_back(old: str) -> None:
    with pytest.raises(RefusedError, match=r"^the newest version is v1\.2\.0, and"):
        check_is_newer(old, "v1.2.0")


@pytest.mark.parametrize("old", ["v1.2.0", "v1.1.9-12-g1234567", "1234567"])
def test_an_update_is_a_step_forward(old: str) -> None:
    check_is_newer(old, "v1.2.0")


# --- Where it works -------------------------------------------------------------------


def test_in_a_folder_of_a_larger_repository_with_hooks_and_signing(
    made: Callable[..., Path], tmp_path: Path
) -> None:
    top = tmp_path / "all"
    shutil.copytree(made(), top / "services/shop")
    (top / "other.txt").write_text("one\n", encoding="utf-8")
    commit(top)
    (top / "other.txt").write_text("two\n", encoding="utf-8")
    git(top, "config", "commit.gpgSign", "true")
    git(top, "config", "gpg.program", "false")
    for name in ("pre-commit", "post-index-change", "post-checkout", "commit-msg"):
        hook = top / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\nexit 1\n", "utf-8")
        hook.chmod(0o755)
    shop = edited_without_commit(top / "services/shop")
    assert patterns(shop, "grow", "size=large") == 0
    assert not (tmp_path / "hooked").exists()
    assert (shop / "src/my_service/my_own.py").is_file()
    assert (top / "other.txt").read_text("utf-8") == "two\n"
    undo(shop)
    status = git(top, "status", "--porcelain")
    assert status == " M other.txt\n"


def edited_without_commit(project: Path) -> Path:
    """Edit a project and commit it, in the repository that it is in."""
    edits.edit(project)
    git(project, "add", "--all", ".")
    git(project, "commit", "-q", "-m", "Edits")
    return project


def test_from_a_bundle_and_from_a_url(
    template: Path, made: Callable[..., Path], tmp_path: Path
) -> None:
    bundle = tmp_path / "family.bundle"
    git(template, "bundle", "create", str(bundle), "--all")
    for number, source in enumerate((str(bundle), f"git+{template.as_uri()}")):
        project = start(made(source=source), tmp_path / f"project{number}")
        assert patterns(project, "update") == 0
        assert f"_src_path: {source}\n" in (project / ANSWERS).read_text("utf-8")
        assert (project / "app/extra.py").is_file()


def test_what_the_template_leaves_to_the_project_stays(
    template: Path, tmp_path: Path
) -> None:
    root = tmp_path / "family"
    git(tmp_path, "clone", "-q", str(template), str(root))
    env = root / "template/{{ structured }}/.env"
    env.write_text("LOG_LEVEL=INFO\n", encoding="utf-8")
    commit(root, tag="v2.0.0")
    env.write_text("LOG_LEVEL=DEBUG\n", encoding="utf-8")
    commit(root, tag="v2.1.0")
    made = tmp_path / "made"
    copier.run_copy(str(root), made, vcs_ref="v2.0.0", defaults=True, quiet=True)
    project = start(made, tmp_path / "project")
    (project / ".env").write_text("LOG_LEVEL=ERROR\n", encoding="utf-8")
    assert patterns(project, "update") == 0
    assert (project / ".env").read_text("utf-8") == "LOG_LEVEL=ERROR\n"


# --- What is killed -------------------------------------------------------------------


def run_and_kill(project: Path, seconds: float) -> None:
    process = subprocess.Popen(
        (sys.executable, "-m", "python_patterns", "grow", "size=large"),
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_run_that_was_killed_while_it_wrote_is_undone(
    project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    edited(project)
    before = snapshot(project)
    assert patterns(project, "grow", "size=large") == 0
    after = git(project, "write-tree").strip()
    undo(project)
    # As it looks when git itself was killed: some files written, one in part.
    git(project, "rm", "-q", "-r", "--cached", "app")
    git(project, "reset", "-q")
    shutil.rmtree(project / "app/services")
    new = git(project, "show", f"{after}:src/my_service/main.py")
    written = project / "src/my_service/main.py"
    written.parent.mkdir(parents=True)
    written.write_text(new[:200], encoding="utf-8")
    (project / "app/settings.py").write_text("# Mine, since\n", encoding="utf-8")
    (project / ".git/index.lock").write_bytes(land.MARK)
    landing = land.Landing(
        str(project), git(project, "rev-parse", "HEAD^{tree}").strip(), after, ""
    )
    land.write(Repository(project, tmp_path), landing)

    assert patterns(project, "grow", "size=large") == cli.REFUSED
    told = capsys.readouterr().err
    assert "the project is back as it was, but for app/settings.py" in told
    assert git(project, "status", "--porcelain") == " M app/settings.py\n"
    git(project, "checkout", "-q", "app/settings.py")
    assert snapshot(project) == before
    assert patterns(project, "grow", "size=large") == 0


def test_a_last_step_that_is_slow_is_left_at_work(
    project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    (project / ".gitattributes").write_text("worker.py filter=slow\n", "utf-8")
    commit(project)
    wait = f"while [ ! -e {go} ]; do sleep 0.1; done; cat"
    git(project, "config", "filter.slow.smudge", wait)
    journal = project / ".git" / land.NAME
    words = (sys.executable, "-m", "python_patterns", "grow", "worker=celery")
    with subprocess.Popen(words, cwd=project, stdout=subprocess.DEVNULL) as first:
        while not journal.exists():
            assert first.poll() is None
            time.sleep(0.05)
        try:
            assert patterns(project, "grow", "worker=rq") == cli.REFUSED
            told = capsys.readouterr().err
            assert "another patterns is writing to this project at this moment" in told
            first.kill()
            first.wait()
            # Its last step goes on alone.
            assert patterns(project, "grow", "worker=rq") == cli.REFUSED
            assert "at this moment" in capsys.readouterr().err
        finally:
            go.touch()
    deadline = time.monotonic() + 60
    while journal.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (project / "app/worker.py").is_file()
    assert "A  app/worker.py\n" in git(project, "status", "--porcelain")
    assert not (project / ".git/index.lock").exists()


def test_the_lock_of_another_git_is_left(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = project / ".git/index.lock"
    lock.touch()
    before = snapshot(project)
    assert patterns(project, "grow", "worker=celery") == cli.REFUSED
    assert "another git is at work" in capsys.readouterr().err
    assert lock.exists()
    assert snapshot(project) == before


def test_a_last_step_that_fails_is_undone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".gitattributes").write_text("worker.py filter=broken\n", "utf-8")
    commit(project)
    git(project, "config", "filter.broken.smudge", "false")
    git(project, "config", "filter.broken.required", "true")
    before = snapshot(project)
    assert patterns(project, "grow", "worker=celery") == cli.REFUSED
    assert "nothing was changed" in capsys.readouterr().err
    assert snapshot(project) == before
    assert git(project, "status", "--porcelain") == ""


def test_ctrl_c_leaves_the_project_as_it_was(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(project)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("python_patterns.grow.plan.Merger.plan", interrupt)
    assert patterns(project, "grow", "size=large") == cli.INTERRUPTED
    assert snapshot(project) == before
    assert git(project, "status", "--porcelain") == ""


# --- Imports --------------------------------------------------------------------------

MOVED = {
    "app/settings.py": "src/shop/core/settings.py",
    "app/services/users.py": "src/shop/users/service.py",
    "app/services/orders.py": "src/shop/orders/service.py",
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import app.settings\n", "import shop.core.settings\n"),
        (
            "import app.settings\n\nprint(app.settings.X, app.other)\n",
            "import shop.core.settings\n\nprint(shop.core.settings.X, app.other)\n",
        ),
        (
            "from app.services import users, orders as o\n",
            (
                "from shop.users import service as users\n"
                "from shop.orders import service as o\n"
            ),
        ),
        (
            "from app.settings import (\n    A,  # why\n    B,\n)\n",
            "from shop.core.settings import (\n    A,  # why\n    B,\n)\n",
        ),
        (
            "def f():\n    from ..settings import A\n    return A\n",
            "def f():\n    from shop.core.settings import A\n    return A\n",
        ),
        ("from .users import log_in\n", "from shop.users.service import log_in\n"),
        (
            "patch('app.services.users.send')\n",
            "patch('shop.users.service.send')\n",
        ),
        ("app.settings = {}\n", "app.settings = {}\n"),
        ("app.settings['ä'] = 'my-app.settings'\n", None),
        ('a = """\nä app.settings"""\n', 'a = """\nä shop.core.settings"""\n'),
    ],
)
def test_imports_are_rewritten(before: str, after: str | None) -> None:
    moves = Moves(MOVED, frozenset(MOVED), frozenset(MOVED.values()))
    modules = Modules(moves, MOVED, lambda _: "", lambda _: "")
    path = "app/services/orders.py"
    assert Rewriting(modules).python(before, path) == (after or before)


ROUTE = '@router.get("/checks")\nasync def check(): ...\n'


@pytest.mark.parametrize("job", ["async def check(urls): ...\n", ROUTE])
def test_a_route_is_no_job_of_the_same_name(job: str) -> None:
    """It is where a route of that name is; where there is none, it is nowhere."""
    old = {"app/routes.py": f"router = APIRouter()\n\n\n{ROUTE}"}
    new = {"app/routes.py": "router = APIRouter()\n", "app/jobs.py": job}
    moves = Moves(dict(zip(old, old, strict=True)), frozenset(old), frozenset(new))
    modules = Modules(moves, old, old.get, new.get)
    home = "app/jobs.py" if job == ROUTE else None
    assert modules.home("app/routes.py", "check") == home


def test_text_is_rewritten() -> None:
    moves = Moves(MOVED, frozenset(MOVED), frozenset(MOVED.values()))
    rewriting = Rewriting(Modules(moves, MOVED, lambda _: "", lambda _: ""))
    text = "run app.settings:x on app/services/users.py, not on myapp.settings\n"
    assert rewriting.text(text) == (
        "run shop.core.settings:x on src/shop/users/service.py, not on myapp.settings\n"
    )
