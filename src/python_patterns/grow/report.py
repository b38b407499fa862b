"""What is asked of a project, what became of it, and why it was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# ``git restore`` refuses where a path in conflict is not in the last commit.
UNDO = "git rm -rqf . && git checkout HEAD -- ."
# What a command that grows a project exits with.
EXIT_CODES = {
    "merged": 0,
    "unchanged": 0,
    "conflicts": 1,
    "failed": 1,
    "refused": 2,
    "interrupted": 130,
}


class RefusedError(Exception):
    """Growing is not possible; the message is one sentence for people."""


class RecoveredError(Exception):
    """An earlier run was killed while it wrote, and what it wrote was taken back."""


@dataclass(frozen=True)
class Wish:
    """What is asked of a project.

    Attributes:
        answers: New answers, by question.
        version: A tag, branch or commit of the template.
        newest: Whether the newest tag is taken where no version is given.
        is_dry: Whether nothing is to be changed.
        source: Where the template is now, if not where it was.
        is_reviewed: Whether lines and the template's changelog are wanted too.
        is_verified: Whether the project's own checks have to pass first.
    """

    answers: Mapping[str, str]
    version: str | None = None
    newest: bool = False
    is_dry: bool = False
    source: str | None = None
    is_reviewed: bool = False
    is_verified: bool = False


@dataclass(frozen=True)
class Change:
    """What happens to one file.

    Attributes:
        path: Where it is afterwards; where it was, if it is removed.
        kind: ``added``, ``moved``, ``merged``, ``rewritten``, ``changed``, ``removed``,
            ``left_alone`` or ``conflict``.
        reason: Why, in a few words.
        origin: Where it was, if it moved.
        advice: What to do about it, where it is in conflict.
        diff: Its lines before and after; nothing where it has none, or where they are
            not wanted.
    """

    path: str
    kind: str
    reason: str
    origin: str | None = None
    advice: str | None = None
    diff: str | None = None


@dataclass(frozen=True)
class Section:
    """What a changelog says of one version.

    Attributes:
        version: Its heading.
        entries: What it lists, as Markdown.
    """

    version: str
    entries: Sequence[str]


@dataclass(frozen=True)
class Check:
    """What became of one of the project's own checks.

    Attributes:
        command: The command.
        is_passed: Whether it passed.
        output: The last lines of what it said, if it did not pass.
    """

    command: str
    is_passed: bool
    output: Sequence[str]


@dataclass(frozen=True)
class Origin:
    """Where a project comes from.

    Attributes:
        source: The template, as copier takes it.
        version: Its version.
    """

    source: str
    version: str


@dataclass(frozen=True)
class Report:
    """What became of a project, or would: texts, JSON and Markdown are written from it.

    Attributes:
        command: ``grow`` or ``update``.
        status: One of ``EXIT_CODES``.
        is_dry: Whether nothing was to be written.
        message: What was not done, and why, where something was not.
        before: Where the project came from.
        after: Where it comes from now.
        answers: The answers that changed: old and new value, by question.
        changelog: What the template's changelog says between the two versions.
        files: What happens to each file.
        checks: The project's own checks, if they were run.
    """

    command: str
    status: str
    is_dry: bool = False
    message: str | None = None
    before: Origin | None = None
    after: Origin | None = None
    answers: Mapping[str, tuple[object, object]] | None = None
    changelog: Sequence[Section] = ()
    files: Sequence[Change] = ()
    checks: Sequence[Check] = ()

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return EXIT_CODES[self.status]

    @property
    def conflicts(self) -> Sequence[Change]:
        """The files that somebody has to look at."""
        return [one for one in self.files if one.kind == "conflict"]
