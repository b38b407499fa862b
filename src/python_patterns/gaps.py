"""A project's open gaps: ``patterns gaps``.

The rules, with their sentences, are those of the template at the project's own version
(``questions/gaps.yml``). The project's answers say which of them hold; what was added
since closes some: files, variables of the environment or ``.env``, or text in a file. A
package that is only installed closes none.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_patterns.grow.report import RefusedError

VARIABLE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*\S", re.MULTILINE)


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

    def __str__(self) -> str:
        """Return the gap as the command line prints it."""
        return f"{self.name}: {self.gap}\n  {self.next_step}\n    {self.command}"


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
    """Return whether what is in a project closes a gap that its answers leave.

    Args:
        rule: The rule, as the template has it.
        project: The project's directory.
    """
    closed_by = rule.get("closed_by", {})
    wanted = closed_by.get("environment")
    return bool(
        any(any(project.glob(pattern)) for pattern in closed_by.get("files", []))
        or (wanted and _variables(project).issuperset(wanted))
        or _has_text(project, closed_by.get("text", {}))
    )


def find_gaps(
    project: Path, rules: Iterable[Mapping[str, Any]], accepted: Collection[str] = ()
) -> list[Gap]:
    """List what a project leaves open as it is now, most important first.

    Args:
        project: The project's directory.
        rules: The template's ``gap_rules``, computed from the project's answers.
        accepted: Names of gaps that may stay open.

    Raises:
        RefusedError: There is no such gap to accept.
    """
    rules = list(rules)
    names = [rule["name"] for rule in rules]
    if unknown := [name for name in accepted if name not in names]:
        raise RefusedError(
            f"there is no gap {unknown[0]!r} to accept: take {', '.join(names)}"
        )
    return [
        Gap(rule["name"], rule["gap"], rule["next"], rule["command"])
        for rule in rules
        if rule["holds"] and rule["name"] not in accepted
        if not is_closed(rule, project)
    ]
