"""A project's open gaps, by its answers and by what was added since."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from python_patterns import cli
from python_patterns.answers import read_answers
from python_patterns.gaps import Gap, find_gaps
from python_patterns.questions import load_questions, settle
from tools.template import FAMILY_ROOT, family_template, render

QUESTIONS = load_questions(FAMILY_ROOT)
FLASK = {"framework": "flask"}
DJANGO = {"framework": "django"}

# For each rule: answers that leave the gap, and answers that do not.
RULES: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "open-to-all": ({"database": "none"}, {"database": "sqlite"}),
    "lost-jobs": ({"worker": "background"}, {"worker": "celery"}),
    "sqlite": ({"purpose": "site"}, {"purpose": "site", "database": "postgresql"}),
    "production-settings": ({"worker": "rq", "size": "small"}, {"size": "small"}),
    "arq-in-threads": ({**FLASK, "worker": "arq"}, {"worker": "arq"}),
    "listeners-of-one-process": (
        {**DJANGO, "websocket": "yes"},
        {**DJANGO, "websocket": "yes", "worker": "rq"},
    ),
    "unmeasured": ({"purpose": "worker"}, {"purpose": "script"}),
    "one-machine": ({"size": "small"}, {"size": "medium"}),
    "unlocked": ({"size": "large"}, {"purpose": "script", "size": "large"}),
}


def append(path: str, text: str) -> Callable[[Path], object]:
    def change(project: Path) -> None:
        with (project / path).open("a", encoding="utf-8") as file:
            file.write(text)

    return change


def depend(name: str) -> Callable[[Path], object]:
    def change(project: Path) -> None:
        path = project / "pyproject.toml"
        head = "\ndependencies = [\n"
        text = path.read_text("utf-8")
        assert head in text
        path.write_text(text.replace(head, f'{head}    "{name}>=1",\n'), "utf-8")

    return change


def touch(name: str) -> Callable[[Path], object]:
    return lambda project: (project / name).touch()


# What somebody does about a gap in the project itself.
CLOSED: dict[str, Callable[[Path], object]] = {
    "production-settings": append(".env", "BROKER_URL=redis://redis:6379/0\n"),
    "unmeasured": append(".env", "SENTRY_DSN=https://key@sentry.example.com/1\n"),
    "one-machine": touch("Dockerfile"),
    "unlocked": touch("uv.lock"),
}


def gaps(project: Path) -> list[Gap]:
    answers = read_answers(project)
    return find_gaps(project, settle(QUESTIONS, answers)["gap_rules"])


def names(project: Path) -> list[str]:
    return [gap.name for gap in gaps(project)]


def main(project: Path, *words: str) -> int:
    """Run the command in this process."""
    return cli.main(["gaps", "--project", str(project), *words])


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "EMAIL_URL",
        "EMAIL_FROM",
        "SITE_URL",
        "FRONTEND_URL",
        "DATABASE_URL",
        "BROKER_URL",
        "SENTRY_DSN",
    ):
        monkeypatch.delenv(name, raising=False)


def test_every_rule_is_tested_and_every_answer_to_it() -> None:
    rules = settle(QUESTIONS, {})["gap_rules"]

    assert {rule["name"] for rule in rules} == RULES.keys()
    assert {rule["name"] for rule in rules if "closed_by" in rule} == CLOSED.keys()


@pytest.mark.parametrize("name", RULES)
def test_a_gap_is_where_it_is_and_nowhere_else(tmp_path: Path, name: str) -> None:
    has, has_not = RULES[name]
    open_project = render(has, tmp_path / "open")

    assert name in names(open_project)
    assert name not in names(render(has_not, tmp_path / "other"))

    if name in CLOSED:
        CLOSED[name](open_project)
        assert name not in names(open_project)


@pytest.mark.parametrize("name", RULES)
def test_what_is_written_down_is_what_is_found(tmp_path: Path, name: str) -> None:
    project = render(RULES[name][0], tmp_path / "project")
    record = project / "docs" / "decisions.md"
    written = " ".join(record.read_text("utf-8").split())

    for gap in gaps(project):
        assert f"{gap.gap} {gap.next_step} `{gap.command}`" in written


@pytest.mark.parametrize("name", RULES)
def test_a_command_that_changes_answers_closes_its_gap(name: str) -> None:
    """It is accepted with the recorded answers, and the rule holds no more."""
    answers = settle(QUESTIONS, RULES[name][0])
    rule = next(rule for rule in answers["gap_rules"] if rule["name"] == name)
    if " patterns grow " not in rule["command"]:
        assert rule["closed_by"]
        return
    changes = dict(
        word.split("=", 1) for word in rule["command"].split() if "=" in word
    )
    after = settle(QUESTIONS, {**RULES[name][0], **changes})
    assert name not in {gap["name"] for gap in after["gaps"]}


@pytest.mark.parametrize(
    "answers", [{}, {"database": "none"}, {"size": "small"}, {"purpose": "site"}]
)
def test_a_package_that_is_only_installed_closes_nothing(
    tmp_path: Path, answers: dict[str, str]
) -> None:
    project = render(answers, tmp_path / "project")
    before = names(project)
    packages = (
        "authlib django-allauth django-axes fastapi-users flask-limiter flask-login"
        " limits opentelemetry-distro prometheus-client pyjwt sentry-sdk slowapi"
    )
    listed = project / "requirements.txt"
    if listed.is_file():
        with listed.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}>=1\n" for name in packages.split())
    else:
        for name in packages.split():
            depend(name)(project)

    assert names(project) == before


def test_a_script_leaves_no_gap_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for variant in ("script", "script-cpu"):
        project = render({"preset": variant}, tmp_path / variant)
        assert main(project) == 0
        assert capsys.readouterr().out == "No gap is left.\n"
        record = project / "docs" / "decisions.md"
        assert "No gap is left." in record.read_text("utf-8")


def test_ci_fails_while_a_gap_is_open_that_nobody_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = render({"preset": "api-small"}, tmp_path / "project")
    accepted = ["--accept=unmeasured", "--accept=one-machine"]

    assert main(project, *accepted) == 1
    assert capsys.readouterr().out.startswith("open-to-all: The service has no")
    assert main(project, *accepted, "--accept=open-to-all") == 0


ANSWERS = ".copier-answers.yml"
MADE = f"_src_path: {family_template()}"


@pytest.mark.parametrize(
    ("files", "arguments", "sentence"),
    [
        (
            {},
            [],
            "{} has no .copier-answers.yml: run this in the directory of a project",
        ),
        ({ANSWERS: "a: ["}, [], "cannot be read"),
        ({ANSWERS: "text"}, [], "does not say where the template is"),
        ({ANSWERS: f"{MADE}\nframework: rails"}, [], "'framework': 'rails' is not in"),
        ({ANSWERS: MADE}, ["--accept=dragons"], "there is no gap 'dragons' to accept"),
    ],
)
def test_a_mistake_gets_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: Mapping[str, str],
    arguments: list[str],
    sentence: str,
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")

    assert main(tmp_path, *arguments) == 2

    error = capsys.readouterr().err
    assert sentence.format(tmp_path) in error
    assert error.count("\n") == 1


def test_the_command_for_a_secret_makes_one_that_production_takes(
    tmp_path: Path,
) -> None:
    project = render({}, tmp_path / "project")
    gap = next(gap for gap in gaps(project) if gap.name == "production-settings")
    subprocess.run(  # noqa: S602 - as people paste it
        gap.command,
        shell=True,
        cwd=project,
        check=True,
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"},
    )
    secret = (project / ".env").read_text("utf-8").strip().removeprefix("SECRET_KEY=")
    assert len(secret) >= 50
    others = ("EMAIL_URL", "EMAIL_FROM", "FRONTEND_URL")
    assert all(name in gap.gap for name in others)
    append(".env", "".join(f"{name}=x\n" for name in others))(project)
    assert "production-settings" not in names(project)


def test_gaps_follow_answers_that_change(tmp_path: Path) -> None:
    project = render({"worker": "background"}, tmp_path / "project")
    shutil.copytree(project, tmp_path / "before")
    path = project / ".copier-answers.yml"
    recorded = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump({**recorded, "worker": "celery"}), "utf-8")

    assert "lost-jobs" in names(tmp_path / "before")
    assert "lost-jobs" not in names(project)
