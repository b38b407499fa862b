"""From a generated line to its source: lines of different kinds."""

from collections.abc import Mapping
from typing import Any

import pytest

from tools.template import FAMILY_ROOT
from tools.where import MARK, Provenance, Tracer, WhereError, main

TRACER = Tracer()
CELERY = {"size": "medium", "worker": "celery"}


def line_of(given: Mapping[str, Any], file: str, text: str) -> int:
    """Return the number of the only line with a text."""
    rendered = TRACER.renderer.files(given)[file]
    assert rendered is not None
    lines = rendered.content.decode().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if text in line)
    return number


def trace(given: Mapping[str, Any], file: str, text: str) -> Provenance:
    return TRACER.trace(given, file, line_of(given, file, text))


@pytest.mark.parametrize(
    ("given", "file", "text", "origin", "brought"),
    [
        # Text in a file of the template; its directory says the choice.
        (
            {"framework": "flask", "size": "medium", "concurrency": "sync"},
            "app/main.py",
            "app.request_class = ParsedRequest",
            "template/{{ frameworks.flask }}/{{ paths.main }}.py.jinja",
            {"framework"},
        ),
        # Text in a fragment.
        (
            {"worker": "dramatiq"},
            "app/broker.py",
            "class JobRetries(Retries):",
            "includes/workers/dramatiq/app.jinja",
            {"worker"},
        ),
        # A row of a table: a setting, a dependency.
        (
            CELERY,
            "app/settings.py",
            "broker_url: Secret[BrokerUrl]",
            "settings.yml",
            {"worker"},
        ),
        (CELERY, ".env.example", "JOB_RETRIES=5", "settings.yml", {"worker"}),
        (
            {},
            "pyproject.toml",
            '"fastapi>=',
            "computed/dependencies.jinja",
            {"purpose", "framework"},
        ),
        # Imports, which a macro merges.
        (
            CELERY,
            "app/worker.py",
            "from celery.signals import",
            "includes/workers/celery/app.jinja",
            {"worker"},
        ),
        # A line with tokens, in one of two concurrencies.
        (
            {"concurrency": "async"},
            "app/services/users.py",
            "async def register(",
            "template/{{ features.users }}/{{ paths.users_service }}.py.jinja",
            {"database"},
        ),
        # A module that a single-file project includes.
        (
            {"size": "small"},
            "utils.py",
            "def summarise(",
            "template/{{ features.checks }}/{{ paths.checks_service }}.py.jinja",
            {"purpose"},
        ),
        # No Python: Compose, and the README.
        (
            {"database": "postgresql"},
            "compose.yaml",
            "image: postgres",
            "includes/databases/postgresql/compose.yaml.jinja",
            {"database"},
        ),
        (
            {"purpose": "script", "concurrency": "async"},
            "README.md",
            "--help` lists the commands",
            "template/README.md.jinja",
            {"purpose"},
        ),
        # A ready-made set of answers.
        (
            {"preset": "django-api"},
            "manage.py",
            "execute_from_command_line(sys.argv)",
            "template/{{ django.top }}/manage.py.jinja",
            {"framework"},
        ),
        # A file that is copied as it is.
        (
            {"purpose": "site"},
            "app/templates/404.html",
            "{% extends",
            "template/{{ site.package }}/templates/404.html",
            {"purpose"},
        ),
    ],
)
def test_a_line_has_its_source_and_its_answers(
    given: Mapping[str, Any], file: str, text: str, origin: str, brought: set[str]
) -> None:
    found = trace(given, file, text)

    sources = [source for chain in found.chains for source in chain]
    sources += found.computed.values()
    at = [source for source in sources if source.file.endswith(origin)]
    assert at, sources
    lines = (FAMILY_ROOT / at[0].file).read_text("utf-8").splitlines()
    words = text.split("=", maxsplit=1)[0].lower() if origin.endswith(".yml") else ""
    assert words.strip(' "') in lines[at[0].line - 1].lower()
    assert brought <= found.brought.keys(), found.brought


def test_what_is_traced_is_what_is_rendered() -> None:
    for given in ({}, CELERY, {"purpose": "site"}, {"size": "small", "worker": "arq"}):
        answers = TRACER.renderer.answers(given)
        rendered = TRACER.renderer.files(given)
        for name, path in TRACER.renderer.sources(answers).items():
            file = rendered[name]
            if path.suffix != ".jinja" or file is None:
                continue
            source = path.relative_to(FAMILY_ROOT).as_posix()
            text = TRACER.marking.get_template(source).render(answers)
            assert MARK.sub("", text) == file.content.decode(), name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["app/main.py"], "'app/main.py' is not of the form FILE:LINE."),
        (["app/nothing.py:1"], "The project has no file app/nothing.py."),
        (["app/main.py:9999"], "app/main.py has "),
        (["worker", "app/main.py:1"], "'worker' is not of the form answer=value."),
        (["worker=nobody", "app/main.py:1"], "worker is 'nobody', not one of "),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith(f"where: {sentence}")
    assert error.count("\n") == 1


def test_it_prints_the_way_to_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    place = f"app/settings.py:{line_of(CELERY, 'app/settings.py', 'broker_url: ')}"
    assert main([*(f"{name}={value}" for name, value in CELERY.items()), place]) == 0

    output = capsys.readouterr().out
    assert "settings is at computed/settings.yml:" in output
    assert "    if has_broker\n" in output
    assert "worker=celery; gone with none, background\n" in output


def test_a_file_that_is_not_there_is_no_error_of_ours() -> None:
    with pytest.raises(WhereError):
        TRACER.trace({}, "nowhere", 1)


@pytest.mark.parametrize(
    ("given", "file", "text", "include"),
    [
        # Two fragments of one name in one file, whose directories are computed.
        ({}, "tests/conftest.py", "def engine(", "'includes/orms/' ~ mapper"),
        (
            {"framework": "flask"},
            "tests/conftest.py",
            "def client(",
            "'includes/frameworks/' ~ framework",
        ),
        # A section that is named, beside an include of any section.
        ({}, "README.md", "## Layout", "'includes/readme/layout.md.jinja'"),
    ],
)
def test_a_fragment_is_included_where_it_says(
    given: Mapping[str, Any], file: str, text: str, include: str
) -> None:
    found = trace(given, file, text)

    (chain,) = found.chains
    written, included = chain
    assert written.file.startswith("includes/")
    lines = (FAMILY_ROOT / included.file).read_text("utf-8").splitlines()
    assert include in lines[included.line - 1]
