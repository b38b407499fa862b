"""Workflows of projects and of the family: pinned, and without known weaknesses."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tools.cookiecutter_family import find_variants
from tools.template import FAMILY_ROOT, render

VARIANTS = {one.name: one.answers for one in find_variants(FAMILY_ROOT)}
PINNED = re.compile(r"^ +(- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def unpinned(root: Path) -> list[str]:
    """Return the actions that are not pinned by digest, with the version beside it."""
    return [
        line
        for file in sorted((root / ".github" / "workflows").iterdir())
        for line in file.read_text("utf-8").splitlines()
        if "uses:" in line and not PINNED.match(line)
    ]


def audit(root: Path) -> str:
    """Return what zizmor finds."""
    zizmor = Path(sysconfig.get_path("scripts")) / "zizmor"
    command = (zizmor, "--offline", "--no-progress", "--format", "plain", ".github")
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("variant", ["api-medium", "worker", "script"])
def test_workflows_of_projects_pass_their_own_audit(
    tmp_path: Path, variant: str
) -> None:
    answers = {**VARIANTS[variant], "size": "medium"}
    project = render(answers, tmp_path / "project")

    assert unpinned(project) == []
    assert audit(project) == ""


def test_an_action_that_is_not_pinned_is_found(tmp_path: Path) -> None:
    project = render({}, tmp_path / "project")
    path = project / ".github" / "workflows" / "ci.yml"
    text = re.sub("checkout@[0-9a-f]{40} # ", "checkout@", path.read_text("utf-8"))
    path.write_text(text, "utf-8")

    assert unpinned(project)
    assert "unpinned-uses" in audit(project)


def test_workflows_of_the_family_are_pinned() -> None:
    assert unpinned(FAMILY_ROOT) == []
