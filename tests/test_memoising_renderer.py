"""The memoising renderer gives what copier gives, byte for byte."""

import itertools
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import copier
import jinja2
import pytest

from tools.matrix.lint import copier_errors
from tools.memoising_renderer import File, MemoisingRenderer, renderer_of
from tools.template import FAMILY_ROOT, family_template, render

VARIANTS = sorted(path.stem for path in (FAMILY_ROOT / "variants").glob("*.yml"))

# Every way in which a template can read an answer.
FAMILY = {
    "copier.yml": """\
_subdirectory: template
_answers_file: .answers.yml
_envops: {undefined: jinja2.StrictUndefined, trim_blocks: true}
engine: {type: str, choices: [steam, diesel], default: steam}
fast: {type: bool, default: "{{ engine == 'diesel' }}"}
wheels: {type: int, choices: [1, 2], default: 1, when: "{{ not fast }}"}
parts:
  type: yaml
  when: false
  default: |
    name: {{ engine }}
    wheels: {count: {{ wheels }}, round: true}
    {% if fast %}
    wing: large
    {% endif %}
cars: {type: yaml, when: false, default: "{{ ['first', 'second'][:wheels] }}"}
""",
    "template/one.txt.jinja": "{{ engine if fast else wheels }}",
    "template/known.txt.jinja": "{{ fast is defined }} {{ speed is defined }}",
    "template/inside.txt.jinja": "{{ 'wing' in parts }}",
    "template/get.txt.jinja": "{{ parts.get('wing', 0) }}",
    "template/nested.txt.jinja": "{{ parts.wheels.count }} {{ parts['name'] }}",
    "template/all.txt.jinja": "{% for key, _ in parts.items() %}{{ key }}{% endfor %}",
    "template/length.txt.jinja": "{{ parts|length }} {{ parts|tojson }} {{ parts }}",
    "template/equal.txt.jinja": "{{ parts == {'name': 'steam'} }} {{ cars|join }}",
    "template/shadow.txt.jinja": (
        "{% for wheels in cars %}{% include 'included' %}{% endfor %}"
        "{% set engine = 'none' %}{% include 'included' %}"
    ),
    "template/macro.txt.jinja": (
        "{% macro show(of) %}{{ of.wheels.count }}{{ fast }}{% endmacro %}"
        "{% from 'imported' import name with context %}{{ show(parts) }}{{ name() }}"
    ),
    "template/plain.txt": "{{ not a tag }}\n",
    "template/{{ engine }}/{{ parts.wing }}/new.txt": "",
    "template/{% yield car from cars %}{{ car }}{% endyield %}/{{ engine }}.txt": "",
    "template/{% if fast %}wing{% endif %}/of.txt.jinja": "{{ parts.wing }}",
    "template/{{ _copier_conf.answers_file }}.jinja": (
        "{{ _copier_answers|to_nice_yaml }}"
    ),
    "included": "{{ wheels }}{{ engine }}",
    "imported": "{% macro name() %}{{ engine }}{{ wheels }}{% endmacro %}",
}
UNDEFINED = "template/{{ engine }}/{{ parts.wing }}/new.txt"


def files_of(tree: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(tree).as_posix(): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in tree.rglob("*")
    }


@pytest.fixture
def family(tmp_path: Path) -> Path:
    root = tmp_path / "family"
    for name, text in FAMILY.items():
        if name != UNDEFINED:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
    (root / "template/plain.txt").chmod(0o755)
    return root


def all_answers() -> Iterator[Mapping[str, Any]]:
    for engine, fast in itertools.product(("steam", "diesel"), (True, False)):
        for wheels in () if fast else (1, 2):
            yield {"engine": engine, "fast": fast, "wheels": wheels}
        yield {"engine": engine, "fast": fast}
    yield {}


def test_what_is_remembered_of_one_project_is_right_for_the_others(
    family: Path, tmp_path: Path
) -> None:
    renderer = MemoisingRenderer(family)
    seen = []
    for number, answers in enumerate([*all_answers(), *all_answers()]):
        renderer.render(answers, tmp_path / f"memoised{number}")
        copied = tmp_path / f"copied{number}"
        copier.run_copy(
            str(family), copied, data=dict(answers), defaults=True, quiet=True
        )
        files = files_of(copied)
        assert files_of(tmp_path / f"memoised{number}") == files
        if files not in seen:
            seen.append(files)
    assert len(seen) > 5  # else the answers would have no effect


def test_same_answers_are_not_rendered_again(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = MemoisingRenderer(family)
    first = renderer.files({"wheels": 2})
    monkeypatch.setattr(jinja2.Template, "render", None)
    assert renderer.files({"wheels": 2}) == first


def test_an_answer_that_is_not_there_is_an_error_each_time(family: Path) -> None:
    (family / UNDEFINED).parent.mkdir(parents=True)
    (family / UNDEFINED).touch()
    renderer = MemoisingRenderer(family)
    renderer.files({"engine": "diesel"})
    for _ in range(2):
        with pytest.raises(jinja2.UndefinedError, match="wing"):
            renderer.files({})


def test_an_answer_that_is_no_choice_is_refused(family: Path) -> None:
    with pytest.raises(ValueError, match="engine is 'wind'"):
        MemoisingRenderer(family).files({"engine": "wind"})


def test_a_part_of_a_path_stays_in_the_project(family: Path) -> None:
    (family / "template/{{ '..' }}").mkdir()
    with pytest.raises(ValueError, match="outside"):
        MemoisingRenderer(family).files({})


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_as_copier_renders_them(variant: str, tmp_path: Path) -> None:
    answers = {"preset": variant}
    renderer_of(family_template()).render(answers, tmp_path / "memoised")
    copied = render(answers, tmp_path / "copied", template=family_template())
    assert files_of(tmp_path / "memoised") == files_of(copied)
    times = [
        path.stat().st_mtime for path in sorted((tmp_path / "memoised").rglob("*.py"))
    ]
    assert times == [path.stat().st_mtime for path in sorted(copied.rglob("*.py"))]


def test_files_of_projects_that_nobody_changes_are_shared(tmp_path: Path) -> None:
    written: dict[File, str] = {}
    first, second, own = (tmp_path / name for name in ("first", "second", "own"))
    renderer_of(family_template()).render(
        {"preset": "api-large"}, first, written=written
    )
    renderer_of(family_template()).render(
        {"preset": "api-medium"}, second, written=written
    )
    renderer_of(family_template()).render({"preset": "api-medium"}, own)

    assert (first / ".editorconfig").samefile(second / ".editorconfig")
    assert not (own / ".editorconfig").samefile(second / ".editorconfig")
    assert files_of(second) == files_of(own)


def test_a_difference_is_a_finding(tmp_path: Path) -> None:
    answers = {"preset": "script"}
    renderer_of(family_template()).render(answers, tmp_path)
    assert not list(copier_errors(tmp_path, family_template(), answers))
    (tmp_path / "README.md").write_text("other", encoding="utf-8")
    (found,) = copier_errors(tmp_path, family_template(), answers)
    assert found.startswith("README.md: copier renders it otherwise")
