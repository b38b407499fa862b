"""The commands of decision records run, as they stand there.

Not among the default tests, for they take minutes and the package index: ``nox -s
grow``.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import copier
import pytest
import uv

from python_patterns import cli
from python_patterns.answers import read_answers
from repositories import commit
from tools.records import GROW, Record, records
from tools.template import FAMILY_ROOT, copy_template, render


def has_engine() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    done = subprocess.run((docker, "info"), check=False, capture_output=True)
    return done.returncode == 0


# A command, and the first record that has it.
COMMANDS: Mapping[str, Record] = {
    command: record
    for record in reversed(list(records()))
    for command in reversed(record.commands)
}
GROWING = sorted(command for command in COMMANDS if command.startswith(GROW))
OTHERS = sorted(COMMANDS.keys() - set(GROWING))
# What has to be done before, and what is typed then.
MANAGE = "uv run python manage.py"
BEFORE = {
    "changepassword": f"{MANAGE} migrate && "
    f"{MANAGE} createsuperuser --noinput --email ada@example.com --name Ada"
}
TYPED = {"changepassword": "correct horse 1\n" * 2}
DOCKER = pytest.mark.skipif(not has_engine(), reason="no container engine here")


def files(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(tree).parts
    }


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_template(FAMILY_ROOT, tmp_path_factory.mktemp("family") / "family")
    commit(root, tag="v1.0.0")
    return root


@pytest.mark.parametrize("command", GROWING)
def test_a_command_that_changes_answers_gives_what_it_says(
    template: Path, tmp_path: Path, command: str
) -> None:
    project, fresh = tmp_path / "project", tmp_path / "fresh" / "project"
    given = dict(COMMANDS[command].given)

    def make(directory: Path, answers: Mapping[str, object]) -> None:
        copier.run_copy(
            str(template), directory, data=dict(answers), defaults=True, quiet=True
        )

    make(project, given)
    commit(project)
    assert cli.main(["grow", "--project", str(project), *command.split()[5:]]) == 0

    # What the project recorded, and the changes: nothing else decides.
    answers = read_answers(project)
    recorded = {name: answers[name] for name in answers if not name.startswith("_")}
    make(fresh, recorded)
    assert files(project) == files(fresh)
    for word in command.split()[5:]:
        name, _, value = word.partition("=")
        assert recorded[name] == {"yes": True, "no": False}.get(value, value)


# What nox and an activated environment set: steps would change the one of these tests.
OURS = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON"}


@pytest.fixture
def shell(tmp_path: Path) -> Mapping[str, str]:
    """Return the variables of a shell with uv and an environment of its own."""
    environment = tmp_path / "environment"
    make = ("venv", "--quiet", "--seed", "--python", sys.executable, environment)
    subprocess.run((uv.find_uv_bin(), *make), check=True)
    programs = environment / "bin"
    (programs / "uv").symlink_to(uv.find_uv_bin())
    inherited = {name: os.environ[name] for name in os.environ.keys() - OURS}
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    return {**inherited, "PATH": path}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, marks=DOCKER if one.startswith("docker") else ())
        for one in OTHERS
    ],
)
def test_a_next_step_runs(
    tmp_path: Path, shell: Mapping[str, str], command: str
) -> None:
    project = render(COMMANDS[command].given, tmp_path / "project")
    commit(project)
    before = [text for word, text in BEFORE.items() if word in command]
    for line in (*before, command):
        done = subprocess.run(
            ["/bin/sh", "-ec", line],
            cwd=project,
            env=dict(shell),
            input="".join(text for word, text in TYPED.items() if word in line),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_uvx_brings_the_command(tmp_path: Path, template: Path) -> None:
    project = tmp_path / "project"
    copier.run_copy(
        str(template), project, data={"preset": "script"}, defaults=True, quiet=True
    )
    done = subprocess.run(
        (uv.find_uv_bin(), "tool", "run", "--from", FAMILY_ROOT, "patterns", "gaps"),
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "No gap is left.\n"
