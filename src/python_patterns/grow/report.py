"""What is asked of a project, what became of it, and why it was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNDO = "git restore --source=HEAD --staged --worktree ."


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
    """

    answers: Mapping[str, str]
    version: str | None = None
    newest: bool = False
    is_dry: bool = False
    source: str | None = None


@dataclass(frozen=True)
class Grown:
    """What became of a project, or would.

    Attributes:
        changes: Paths by what happens to them; a move is written ``old -> new``.
        look: What could not be merged, and why.
        answers: The answers that changed: old and new value, by question.
        is_dry: Whether nothing was written.
    """

    changes: Mapping[str, Sequence[str]]
    look: Mapping[str, str]
    answers: Mapping[str, tuple[object, object]]
    is_dry: bool
