"""Git is not led to the repository of a git that calls, and its errors are short."""

from pathlib import Path

import pytest

from python_patterns.git import GitError, run
from repositories import commit, git


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
