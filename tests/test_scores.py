"""Mutants of generated projects: what is changed, what is not, and how it is drawn."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tools.cookiecutter_family import find_variants
from tools.matrix.report import OWN_TESTS, RENDER, TYPES, Display, Report, Spent
from tools.matrix.run import Options, Project
from tools.scores import __main__ as scores
from tools.scores.__main__ import measure, mutated
from tools.scores.mutants import Mutant, mutants_of
from tools.template import FAMILY_ROOT


def mutants(directory: Path, text: str, file: str = "app/main.py") -> list[Mutant]:
    path = directory / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return mutants_of(directory)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a == b", "a != b"),
        ("a < b", "a <= b"),
        ("a not in b", "a in b"),
        ("a and b", "a or b"),
        ("not a", "(a)"),
        ("x = a + b", "x = a - b"),
        ("x = 3", "x = 4"),
        ("x = True", "x = False"),
        ("x = 'é'", "x = 'XXé'"),
        ("if a: b", "if not (a): b"),
        ("a.b(c)", "pass"),
        ("raise A", "pass"),
        ("for a in b: break", "for a in b: continue"),
        ("x = a(b, c=d)", "x = a(b)"),
        ("x = a(b=c, d=e)", "x = a( d=e)"),
        ("x = a.b(c).d(e)", "x = a.b(c)"),
        ("x = [a, b]", "x = [b]"),
        ("x = [a, b]", "x = [a,]"),
        ("def f():\n    return a", "def f():\n    return None"),
        ("async def f():\n    x = await a", "async def f():\n    x = a"),
        ("@a.b\ndef f(): ...", "\ndef f(): ..."),
        ("type A = Annotated[int, B(c=1)]", "type A = Annotated[int, B()]"),
        ("def f(a: Annotated[int, B(1)]): ...", "def f(a: Annotated[int, B(2)]): ..."),
    ],
)
def test_what_is_changed(tmp_path: Path, text: str, changed: str) -> None:
    found = mutants(tmp_path, f"{text}\n")
    results = {
        mutated(tmp_path, one, tmp_path.with_name(f"{tmp_path.name}-{number}"))
        .joinpath(one.file)
        .read_text("utf-8")
        for number, one in enumerate(found)
    }
    assert f"{changed}\n" in results


@pytest.mark.parametrize(
    "text",
    [
        "import a",
        "from a import b",
        '"""A module."""',
        "x: dict[str, int]",
        "def f(a: int | None) -> int | None: ...",
        "logger.info('hello', a=1)",
        "if TYPE_CHECKING:\n    a()",
        "if __name__ == '__main__':\n    a()",
        "type A = int | None",
        "x = f'the text {a} of a person'",
    ],
)
def test_what_is_left_alone(tmp_path: Path, text: str) -> None:
    assert mutants(tmp_path, f"{text}\n") == []


def test_tests_and_migrations_are_left_alone(tmp_path: Path) -> None:
    for file in ("tests/test_a.py", "migrations/env.py", "test_main.py"):
        assert mutants(tmp_path, "x = 3\n", file) == []


def test_kinds_take_turns_and_the_draw_survives_a_change_elsewhere(
    tmp_path: Path,
) -> None:
    text = "x = 1\ny = 2\nz = a == b\n"
    before = mutants(tmp_path, text)
    assert len({one.kind for one in before[:2]}) == 2
    after = mutants(tmp_path, "b = c\n" * 5, "app/other.py")
    assert [one.name for one in after] == [one.name for one in before]


def test_only_central_modules_are_central(tmp_path: Path) -> None:
    mutants(tmp_path, "x = 1\n", "app/services/users.py")
    found = {one.file: one.is_central for one in mutants(tmp_path, "x = 1\n")}
    assert found == {"app/services/users.py": True, "app/main.py": False}


def test_what_only_the_linter_finds_is_not_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(
        projects: Sequence[Project], _options: Options, _display: Display
    ) -> Report:
        # The tests of the first mutant fail, and the types of the second. All have the
        # format of what was cut out.
        report = Report(Display(Console(quiet=True)))
        for project in projects:
            number = project.id.removeprefix("script-cpu").lstrip("-")
            fails = {"0": OWN_TESTS, "1": TYPES}.get(number)
            for stage in project.stages & {fails} | {RENDER}:
                report.add(project.id, stage, ["a finding"], Spent(0))
        return report

    def is_lint_clean(tree: Path) -> bool:
        return not tree.name.endswith("-2")

    monkeypatch.setattr(scores, "run", run)
    monkeypatch.setattr(scores, "_is_lint_clean", is_lint_clean)
    (variant,) = [one for one in find_variants(FAMILY_ROOT) if one.name == "script-cpu"]
    (score,) = measure([variant], 4, tmp_path)

    kinds = (score.caught, score.typed, score.linted, score.survivors)
    assert [len(kind) for kind in kinds] == [1, 1, 1, 1]
    assert score.share() == "50 % of 4"
    assert score.share(by_tests=True) == "25 % of 4"
