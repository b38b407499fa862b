"""What a project leaves open now: ``python -m python_patterns.gaps [DIRECTORY]``.

The rules, with their sentences, are those of the template (``questions/gaps.yml``). The
project's recorded answers say which of them hold; what was added since closes some:
dependencies, files, variables of the environment or ``.env``, or text in a file.

It ends with 0 where nothing is open, with 1 where something is, so that CI can ask, and
with 2 where that cannot be found out.
"""

import argparse
import fnmatch
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from python_patterns.cells import load_questions, settle
from python_patterns.render import FAMILY_ROOT

ANSWERS = ".copier-answers.yml"
VARIABLE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*\S", re.MULTILINE)


class GapsError(Exception):
    """Gaps cannot be found; the message is one sentence for people."""


@dataclass(frozen=True)
class Gap:
    """Something that a project leaves open.

    Attributes:
        name: What the rule is called.
        gap: What is open, in a sentence.
        next_step: What to do about it, in a sentence.
        command: What to run for that.
    """

    name: str
    gap: str
    next_step: str
    command: str


def read_answers(project: Path) -> dict[str, Any]:
    """Read the answers that a project was made from.

    Args:
        project: The project's directory.

    Raises:
        GapsError: There are none.
    """
    path = project / ANSWERS
    try:
        answers = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise GapsError(
            f"{path} cannot be read, so {project} is no project of this template: "
            f"{error.strerror}."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GapsError(f"{path} is not YAML.") from error
    if not isinstance(answers, dict):
        raise GapsError(f"{path} holds no answers.")
    return answers


def _requirements(project: Path) -> list[str]:
    listed = project / "requirements.txt"
    if listed.is_file():
        return listed.read_text("utf-8").splitlines()
    path = project / "pyproject.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError:
        return []
    except tomllib.TOMLDecodeError as error:
        raise GapsError(f"{path} is not TOML: {error}.") from error
    return [str(line) for line in table.get("project", {}).get("dependencies", [])]


def _dependencies(project: Path) -> set[str]:
    names: set[str] = set()
    for line in _requirements(project):
        try:
            names.add(canonicalize_name(Requirement(line.split("#")[0]).name))
        except InvalidRequirement:  # an option or an address, not a name
            continue
    return names


def _variables(project: Path) -> set[str]:
    path = project / ".env"
    text = path.read_text("utf-8") if path.is_file() else ""
    return {*VARIABLE.findall(text), *(name for name in os.environ if os.environ[name])}


def _has_text(project: Path, texts: Mapping[str, str]) -> bool:
    return any(
        text.lower() in path.read_text("utf-8", errors="ignore").lower()
        for pattern, text in texts.items()
        for path in project.glob(pattern)
        if path.is_file()
    )


def is_closed(rule: Mapping[str, Any], project: Path) -> bool:
    """Say whether what is in a project closes a gap that its answers leave.

    Args:
        rule: The rule, as the template has it.
        project: The project's directory.

    Raises:
        GapsError: A file that has to be read is broken.
    """
    closed_by = rule.get("closed_by", {})
    wanted = closed_by.get("environment")
    return bool(
        any(
            fnmatch.filter(_dependencies(project), pattern)
            for pattern in closed_by.get("dependencies", [])
        )
        or any(any(project.glob(pattern)) for pattern in closed_by.get("files", []))
        or (wanted and _variables(project).issuperset(wanted))
        or _has_text(project, closed_by.get("text", {}))
    )


def _settle(project: Path, family: Path) -> dict[str, Any]:
    if not (family / "copier.yml").is_file():
        raise GapsError(f"The template is not in {family}: run this from a checkout.")
    try:
        return settle(load_questions(family), read_answers(project))
    except ValueError as error:
        raise GapsError(
            f"The answers in {project / ANSWERS} do not fit this template: {error}"
        ) from error


def _open(rules: Iterable[Mapping[str, Any]], project: Path) -> list[Gap]:
    return [
        Gap(rule["name"], rule["gap"], rule["next"], rule["command"])
        for rule in rules
        if rule["holds"] and not is_closed(rule, project)
    ]


def find_gaps(project: Path, family: Path = FAMILY_ROOT) -> list[Gap]:
    """List what a project leaves open as it is now, most important first.

    Args:
        project: The project's directory.
        family: Directory that holds ``copier.yml``.

    Raises:
        GapsError: The project or the template cannot be read.
    """
    return _open(_settle(project, family)["gap_rules"], project)


def report(project: Path, accepted: Sequence[str] = ()) -> tuple[list[Gap], str]:
    """Find what is left open, and say it.

    Args:
        project: The project's directory.
        accepted: Names of gaps that may stay open.

    Returns:
        The gaps, and the text for people.

    Raises:
        GapsError: The project cannot be read, or there is no such gap.
    """
    answers = _settle(project, FAMILY_ROOT)
    names = [rule["name"] for rule in answers["gap_rules"]]
    if unknown := [name for name in accepted if name not in names]:
        raise GapsError(
            f"There is no gap {unknown[0]!r} to accept: take {', '.join(names)}."
        )
    found = [
        gap for gap in _open(answers["gap_rules"], project) if gap.name not in accepted
    ]
    texts = [
        f"{gap.name}: {gap.gap}\n  {gap.next_step}\n    {gap.command}" for gap in found
    ]
    return found, "\n\n".join(texts) or answers["no_gap"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is left open; see the module for the exit codes.

    Args:
        arguments: The command line, by default that of this process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m python_patterns.gaps",
        description="Say what a project leaves open, and the next step for each.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path())
    parser.add_argument(
        "--accept",
        metavar="GAP",
        action="append",
        default=[],
        help="a gap that may stay open, by its name; can be given again",
    )
    given = parser.parse_args(arguments)
    try:
        found, text = report(given.directory, given.accept)
    except GapsError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(text)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
