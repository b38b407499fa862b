"""Answers: what follows from what, and what is refused, in one clear sentence."""

import ast
import json
import keyword
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruff import find_ruff_bin

from python_patterns.questions import load_config, load_questions, settle
from tools.memoising_renderer import renderer_of
from tools.template import FAMILY_ROOT, family_template, render

CONFIG = load_config(FAMILY_ROOT)
VARIANTS = sorted((FAMILY_ROOT / "variants").glob("*.yml"))


def recorded(project: Path) -> dict[str, Any]:
    answers: dict[str, Any] = yaml.safe_load(
        (project / ".copier-answers.yml").read_text("utf-8")
    )
    return answers


def files(project: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and path.name != ".copier-answers.yml"
    }


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, {"size": "medium", "concurrency": "async", "database": "sqlite"}),
        ({}, {"worker": "none", "layout": "layer", "framework": "fastapi"}),
        ({"workload": "cpu"}, {"concurrency": "sync"}),
        ({"async_team": False}, {"concurrency": "sync"}),
        ({"infrastructure": ["redis"]}, {"worker": "celery"}),
        ({"infrastructure": ["postgresql"]}, {"database": "postgresql"}),
        ({"purpose": "ml"}, {"database": "none", "concurrency": "async"}),
        ({"purpose": "ml", "workload": "cpu"}, {"concurrency": "sync"}),
        ({"size": "large"}, {"layout": "feature"}),
        ({"framework": "flask"}, {"concurrency": "sync", "database": "sqlite"}),
        ({"purpose": "script"}, {"framework": "none", "work": "waiting"}),
        ({"purpose": "script", "infrastructure": ["redis"]}, {"worker": "none"}),
        ({"purpose": "script", "workload": "io"}, {"concurrency": "sync"}),
        ({"purpose": "script", "workload": "cpu"}, {"work": "computing"}),
        ({"purpose": "worker"}, {"framework": "none", "worker": "celery"}),
    ],
)
def test_defaults_follow_from_what_was_answered(
    tmp_path: Path, context: Mapping[str, Any], expected: Mapping[str, str]
) -> None:
    answers = recorded(render(context, tmp_path / "project"))

    assert {name: answers[name] for name in expected} == expected


def test_every_variant_is_a_preset() -> None:
    names = [path.stem for path in VARIANTS]

    assert sorted(CONFIG["preset"]["choices"].values()) == sorted(["custom", *names])


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_a_preset_and_its_file_give_the_same_project(
    tmp_path: Path, variant: Path
) -> None:
    answers = yaml.safe_load(variant.read_text("utf-8"))
    renderer_of(family_template()).render({"preset": variant.stem}, tmp_path / "name")
    renderer_of(family_template()).render(answers, tmp_path / "file")

    assert files(tmp_path / "name") == files(tmp_path / "file")
    assert answers.items() <= recorded(tmp_path / "name").items()


REFUSED_NAMES = [
    ("project_slug", "class", '"class" is reserved by Python'),
    ("project_slug", "json", '"json" is reserved by Python'),
    ("project_slug", "fastapi", '"fastapi" is reserved'),
    ("project_slug", "app", '"app" is reserved'),
    ("project_slug", "con", '"con" is reserved'),
    ("project_slug", "my-shop", "Not a package name"),
    ("project_slug", "", "Not a package name"),
    ("project_slug", "../evil", "Not a package name"),
    ("project_slug", "a" * 41, "Not a package name"),
    ("project_slug", "a" * 300, "Not a package name"),
    ("project_slug", "shop_", "Not a package name"),
    ("project_slug", "shop\n", "Not a package name"),
    ("project_slug", "9lives", "Not a package name"),
    ("project_slug", "cafe\u0301", "Not a package name"),
    ("project_slug", "\N{PILE OF POO}", "Not a package name"),
    ("project_slug", "{{ 7*7 }}", "Not a package name"),
    ("project_name", "", "The project name is empty"),
    ("project_name", " ", "The project name is empty"),
    ("project_name", "n" * 300, "The project name has 300 characters"),
    ("project_name", "two\nlines", "The project name contains a line break"),
    ("project_name", "bell\a", "another control character"),
    ("project_name", "{{ 7*7 }}", "The project name contains a template tag"),
    ("description", "{% raw %}", "The description contains a template tag"),
    ("description", "two\u2028lines", "The description contains a line break"),
    ("description", "d" * 65, "The description has 65 characters. Use at most 64."),
    ("project_name", "\u4e2d" * 33, "The project name has 66 characters, some counted"),
    ("description", "one\u202eowt", "contains a character that cannot be seen"),
    ("project_name", "Zero\u200bWidth", "contains a character that cannot be seen"),
    ("author_name", "{# no #}", "The author contains a template tag"),
    ("author_email", "nobody", "Not a valid email address"),
    ("author_email", 'a"b@example.com', "Not a valid email address"),
    ("author_email", "ada@example.com\n", "Not a valid email address"),
]


@pytest.mark.parametrize(
    ("answer", "value", "sentence"),
    [
        *REFUSED_NAMES,
        ("preset", "nonsense", "'nonsense' is not in"),
        ("size", "huge", "huge"),
    ],
)
def test_a_bad_answer_is_refused_and_nothing_is_written(
    tmp_path: Path, answer: str, value: str, sentence: str
) -> None:
    project = tmp_path / "project"

    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        render({answer: value}, project)

    message = str(refusal.value).strip()
    assert "\n" not in message
    assert not project.exists() or not files(project)
    if (answer, value, sentence) in REFUSED_NAMES:
        # Copier shows it in a line of its own, which is cut at 80 columns.
        assert len(message.partition(": ")[2]) < 80


@pytest.mark.parametrize(
    "variant", ["api-medium", "api-small", "django-api", "flask-medium", "site"]
)
@pytest.mark.parametrize(
    "text",
    [
        'It\'s "fast" & \\"small\\',
        "Über Köln \N{EN DASH} naïve café \N{MULTIPLICATION SIGN} 2",
        "It's \"fast\" & 'small' \N{RIGHT SINGLE QUOTATION MARK}",
        "Сервис для кота no\u00a0break \N{ROCKET}",
        "a\\b # not {x} %s <b>",
        "\u4e2d" * 32,
    ],
)
def test_unusual_text_passes_the_linter(
    tmp_path: Path, variant: str, text: str
) -> None:
    file = FAMILY_ROOT / "variants" / f"{variant}.yml"
    names = {"project_name": text, "description": text, "project_slug": "shop"}
    answers = {**yaml.safe_load(file.read_text("utf-8")), **names}
    project = render(answers, tmp_path / "project")

    for words in (["check"], ["format", "--check"]):
        command = [find_ruff_bin(), *words, "--no-cache", "."]
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_async_is_not_to_be_had_for_computing(tmp_path: Path) -> None:
    answers = {"workload": "cpu", "concurrency": "async"}

    with pytest.raises(ValueError, match="computing would block the event loop"):
        render(answers, tmp_path / "project")


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (
            {"framework": "flask", "concurrency": "async"},
            "for async: framework=fastapi",
        ),
        (
            {"framework": "flask", "worker": "background"},
            "with a broker: worker=celery",
        ),
        ({"framework": "flask", "purpose": "ml"}, "for Flask: purpose=api"),
        ({"concurrency": "sync", "orm": "tortoise"}, "for it: concurrency=async"),
        ({"framework": "flask", "orm": "tortoise"}, "for it: concurrency=async"),
        (
            {"purpose": "script", "framework": "fastapi"},
            "purpose=api framework=fastapi",
        ),
        ({"purpose": "script", "framework": "flask"}, "purpose=api framework=flask"),
        ({"purpose": "api", "framework": "none"}, "purpose=script or purpose=worker"),
        ({"purpose": "site", "framework": "fastapi"}, "for FastAPI: purpose=api"),
        (
            {"purpose": "worker", "framework": "django"},
            "purpose=api framework=django worker=celery",
        ),
        (
            {"purpose": "script", "concurrency": "async", "work": "computing"},
            "would block the event loop",
        ),
        ({"purpose": "script", "worker": "celery"}, "for jobs: purpose=worker"),
        ({"purpose": "worker", "worker": "none"}, "such as worker=celery"),
        ({"purpose": "worker", "worker": "background"}, "with a broker: worker=celery"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    tmp_path: Path, answers: Mapping[str, str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        render(answers, tmp_path / "project")


def test_reserved_names_are_those_of_python() -> None:
    source = (FAMILY_ROOT / "includes/validators/reserved_names.jinja").read_text(
        "utf-8"
    )
    names = set(source.split("{% set reserved_names %}")[1].split())
    python = {
        name
        for name in {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names}
        if re.fullmatch(r"[a-z][a-z0-9_]*", name)
    }

    assert python <= names


# What people paste into a line of text.
PASTED = [
    *('"', "'", "\\", "`", "$", "#", "<b>", "&", ": ", "- ", "%", "{", "}", "é", "!"),
    *("\N{PILE OF POO}", "'''", '"""', "\\n", "%s", "${{", "{{", "yes", "*", "|", ">"),
]
TEXT = st.one_of(
    st.text(min_size=1, max_size=90),
    st.lists(
        st.sampled_from(PASTED),
        min_size=1,
        max_size=8,
    ).map("".join),
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(name=TEXT, description=TEXT, author=TEXT)
def test_free_text_is_refused_or_arrives_as_it_was(
    name: str, description: str, author: str
) -> None:
    answers = {"project_name": name, "description": description, "author_name": author}
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory) / "project"
        try:
            render(answers, project)
        except ValueError as refusal:
            assert "\n" not in str(refusal).strip()  # noqa: PT017
            return

        pyproject = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
        assert pyproject["project"]["description"] == description
        assert pyproject["project"]["authors"][0]["name"] == author
        strings = {
            node.value
            for node in ast.walk(
                ast.parse((project / "app/main.py").read_text("utf-8"))
            )
            if isinstance(node, ast.Constant)
        }
        assert {name, description} <= strings
        for path in project.rglob("*"):
            if path.suffix == ".py":
                ast.parse(path.read_text("utf-8"))
            if path.suffix in {".yml", ".yaml"}:
                yaml.safe_load(path.read_text("utf-8"))
        assert recorded(project)["project_name"] == name


def test_every_choice_says_what_it_is_best_for() -> None:
    structural = [*CONFIG["structural"]["default"], "workload"]
    questions = load_questions(FAMILY_ROOT)
    by_name = {question.name: question for question in questions}
    answers = settle(questions, {})
    for name in structural:
        question = by_name[name]
        table = str(question.render(question.details["help"], answers)).splitlines()
        for label, choice in question.choices(answers).items():
            barred = choice.get("validator", "") if isinstance(choice, dict) else ""
            is_said = any(line.startswith(f"  {label} ") for line in table)
            is_barred = bool(question.render(barred, answers))
            assert len(label) > 15 or is_said or is_barred, json.dumps(label)
