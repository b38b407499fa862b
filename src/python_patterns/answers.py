"""A project's answers: the file that records them, and questions that were renamed."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from python_patterns import git
from python_patterns.grow.report import RefusedError

ANSWERS = ".copier-answers.yml"
# Questions that have another name now: the old one and the new one. The value moves.
RENAMED: Mapping[str, str] = {}


def translated(
    answers: Mapping[str, Any], renamed: Mapping[str, str] = RENAMED
) -> dict[str, Any]:
    """Add to a project's answers those whose questions have another name now.

    The old ones stay: an older version of the template still asks for them.

    Args:
        answers: The answers of a project.
        renamed: New names by old ones.
    """
    moved = {new: answers[old] for old, new in renamed.items() if old in answers}
    return {**moved, **answers}


def read_answers(directory: Path) -> dict[str, Any]:
    """Read a project's answers file.

    Raises:
        RefusedError: There is none, or it is not what copier writes.
    """
    path = directory / ANSWERS
    try:
        answers = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        deleted = _deleted_in(directory)
        raise RefusedError(
            f"{directory} has no {ANSWERS}: "
            + (
                f"get it back with git checkout {deleted}~ -- {ANSWERS}, and commit it"
                if deleted
                else "run this in the directory of a project of this template, or with"
                " --project"
            )
        ) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RefusedError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(answers, dict) or not isinstance(answers.get("_src_path"), str):
        raise RefusedError(
            f"{path} does not say where the template is: add a line with its address or"
            " directory, such as _src_path: https://example.com/template.git, and"
            " commit it"
        )
    return answers


def answers_of(words: Sequence[str]) -> dict[str, str]:
    """Return the answers of a command line.

    Args:
        words: Each ``answer=value``.

    Raises:
        RefusedError: A word has no equals sign, or nothing before it.
    """
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise RefusedError(f"{word!r} is not of the form answer=value")
        found[name] = value
    return found


def clone_address(source: str) -> str:
    """Return the address that git clones a template from.

    Args:
        source: The template, as copier takes it.
    """
    for short, host in (("gh:", "github.com"), ("gl:", "gitlab.com")):
        if source.startswith(short):
            return f"https://{host}/{source.removeprefix(short)}"
    return source.removeprefix("git+")


def with_address(text: str, source: str) -> str:
    """Return a text with commands that name the template by its address.

    Args:
        text: What the template wrote, which does not know its address.
        source: The template, as copier takes it.
    """
    url = clone_address(source)
    source = f"git+{url}" if url.startswith(("https://", "ssh://")) else source
    return text.replace("TEMPLATE", shlex.quote(source))


def _deleted_in(directory: Path) -> str:
    """Return the commit that deleted the answers file; nothing where there is none."""
    words = ("log", "-1", "--format=%h", "--diff-filter=D", "--", ANSWERS)
    try:
        return git.run(*words, directory=directory).decode().strip()
    except (git.GitError, OSError):
        return ""


def one_line(error: object) -> str:
    """Return the message of an error without its line breaks."""
    return " ".join(str(error).split())
