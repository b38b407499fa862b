"""Git is not led to the repository of a git that calls, and its errors are short."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from python_patterns.git import GitError, run
from repositories import commit, git
from tools.template import FAMILY_ROOT, copy_template


def test_a_hook_of_another_repository_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    for directory in (other, mine):
        directory.mkdir()
        (directory / "file.txt").write_text(directory.name, encoding="utf-8")
    commit(other, "Other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    monkeypatch.setenv("GIT_PREFIX", "somewhere/")

    commit(mine, "Mine", tag="v1")

    assert git(mine, "log", "--format=%s") == "Mine\n"
    assert git(mine, "show", "v1:file.txt") == "mine"
    assert git(other, "log", "--format=%s") == "Other\n"


def test_an_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not a git repository") as e:
        run("log", directory=tmp_path)
    assert str(e.value).startswith("git log failed in ")
    assert "\n" not in str(e.value)


def listed(directory: Path) -> dict[str, bytes]:
    """Read all that is in a directory, git's own files too."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("framework", "words"),
    [
        ("fastapi", "gaps"),
        ("django", "gaps"),
        ("django", "grow --dry-run worker=celery layout=feature"),
        ("fastapi", "grow --dry-run size=huge"),
        ("flask", "update --dry-run"),
    ],
)
def test_in_a_hook_and_with_hooks_nothing_is_touched(
    tmp_path: Path, framework: str, words: str
) -> None:
    """As ``git commit -- FILE`` runs hooks: with an index that is not the index."""
    family, project = tmp_path / "family", tmp_path / "project"
    copy_template(FAMILY_ROOT, family)
    commit(family, tag="v1")
    run = (sys.executable, "-m", "copier", "copy", "-q", "--defaults")
    answer = ("-d", f"framework={framework}")
    subprocess.run((*run, *answer, str(family), str(project)), check=True)
    commit(project)
    hooks = tmp_path / "template/hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n", "utf-8")
        (hooks / name).chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[core]\nhooksPath = {hooks}\n[init]\ntemplateDir = {tmp_path}/template\n",
        encoding="utf-8",
    )
    index = project / ".git/next-index-1.lock"
    shutil.copy(project / ".git/index", index)
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_DIR": str(project / ".git"),
        "GIT_INDEX_FILE": str(index),
        "GIT_PREFIX": "",
        "GIT_WORK_TREE": str(project),
    }
    before = listed(project), listed(family)
    patterns = (sys.executable, "-m", "python_patterns", *words.split())
    done = subprocess.run(
        patterns, cwd=project, env=environment, capture_output=True, check=False
    )
    assert done.returncode == (2 if "size=huge" in words else int(words == "gaps"))
    assert not (tmp_path / "hooked").exists()
    after = listed(project), listed(family)
    changed = [
        path
        for one, other in zip(before, after, strict=True)
        for path in one.keys() | other.keys()
        if one.get(path) != other.get(path)
    ]
    assert changed == []
