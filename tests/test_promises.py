"""No release breaks the projects of the one before."""

import re
from pathlib import Path

import pytest

from python_patterns.answers import translated
from python_patterns.git import GitError
from repositories import git
from tools.compatibility import broken_promises
from tools.template import FAMILY_ROOT, check_out


def newest_tag() -> str | None:
    try:
        return git(FAMILY_ROOT, "describe", "--tags", "--abbrev=0").strip()
    except GitError:
        return None


def test_the_newest_release_is_not_broken(tmp_path: Path) -> None:
    tag = newest_tag()
    if tag is None:
        pytest.skip("nothing is released yet")
    old = tmp_path / "old"
    check_out(FAMILY_ROOT, tag, old)
    assert broken_promises(old, FAMILY_ROOT, tmp_path / "scratch") == []


# --- What breaks, on a template that is small enough to see through -------------------

QUESTIONS = """
_subdirectory: template
size:
  type: str
  default: medium
  choices: [small, medium, large]
worker:
  type: str
  default: "{{ 'celery' if size == 'large' else 'none' }}"
  choices: [none, celery]
structural: {type: yaml, when: false, default: [size, worker]}
"""


def version(directory: Path, text: str) -> Path:
    template = directory / "template"
    template.mkdir(parents=True)
    (directory / "copier.yml").write_text(text, encoding="utf-8")
    (template / "{{ _copier_conf.answers_file }}.jinja").write_text(
        "{{ _copier_answers|to_nice_yaml }}", encoding="utf-8"
    )
    return directory


NEW_QUESTION = """
cache: {type: str, default: none, choices: [none, redis]}
structural: {type: yaml, when: false, default: [size, worker, cache]}
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("size:", "scale:", "the question size is gone"),
        ("small, medium, large", "small, medium", "could be generated, and cannot"),
        ("default: medium", "default: small", "size is 'small' where it was 'medium'"),
        ("'celery' if", "'none' if", "worker is 'none' where it was 'celery'"),
        ("\nstructural: .*\n", NEW_QUESTION, ""),
    ],
)
def test_it_is_told(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    first = version(tmp_path / "first", QUESTIONS)
    changed = re.sub(old, new, QUESTIONS).replace(
        "if size", "if scale" if new == "scale:" else "if size"
    )
    changed = changed.replace("[size,", "[scale,") if new == "scale:" else changed
    second = version(tmp_path / "second", changed)
    found = broken_promises(first, second, tmp_path / "scratch")
    assert bool(found) == bool(sentence)
    assert all(sentence in one for one in found)


def test_a_new_name_needs_a_mapping(tmp_path: Path) -> None:
    first = version(tmp_path / "first", QUESTIONS)
    second = version(tmp_path / "second", QUESTIONS.replace("worker", "jobs"))
    scratch = tmp_path / "scratch"
    assert broken_promises(first, second, scratch) == [
        "the question worker is gone, and RENAMED has no new name for it"
    ]
    assert broken_promises(first, second, scratch, {"worker": "jobs"}) == []


def test_answers_are_translated() -> None:
    answers = {"worker": "celery", "size": "large"}
    assert translated(answers, {"worker": "jobs"}) == {**answers, "jobs": "celery"}
    assert translated({"jobs": "rq", "worker": "celery"}, {"worker": "jobs"}) == {
        "jobs": "rq",
        "worker": "celery",
    }
