"""``patterns grow`` and ``patterns update``, for those who own a generated project."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from python_patterns.grow.report import (
    UNDO,
    Grown,
    RecoveredError,
    RefusedError,
    Wish,
)

REFUSED = 2
INTERRUPTED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="patterns", description="Change a project's answers, or its version."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--project", type=Path, default=Path(), help="directory of the project"
    )
    common.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would change, and change nothing",
    )
    common.add_argument("--ref", help="tag, branch or commit of the template")
    grow = commands.add_parser(
        "grow",
        parents=[common],
        help="change answers: files move, edits move along",
        description="Change answers. The version stays, unless --ref gives another.",
    )
    grow.add_argument("answers", nargs="*", metavar="answer=value")
    commands.add_parser(
        "update",
        parents=[common],
        help="take the template's newest version",
        description="Keep the answers and take the newest tag, or what --ref gives.",
    )
    return parser


def _answers(words: Sequence[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise RefusedError(f"{word!r} is not of the form answer=value")
        found[name] = value
    return found


def _tell(grown: Grown) -> None:
    """Say what was done, or would be."""
    for name, (old, new) in grown.answers.items():
        if not name.startswith("_") or name == "_commit":
            print(f"{name.strip('_')}: {old} -> {new}")
    for kind, paths in grown.changes.items():
        for path in paths:
            print(f"  {kind:<11} {path}")
    counts = [f"{len(paths)} {kind}" for kind, paths in grown.changes.items() if paths]
    print(f"{', '.join(counts) or 'Nothing changes'}.")
    if grown.is_dry:
        print("Nothing was changed: this was a dry run.")
    elif counts:
        print("Nothing is committed. See it with: git diff --cached")
        print(f"Undo it, before you commit, with: {UNDO}")
    if grown.look:
        print("\nLook at these; git status lists them until git add:")
        for path, reason in grown.look.items():
            print(f"  {path}: {reason}")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Returns:
        0 where all is merged, 1 where something is in conflict, 2 where nothing was
        done, and 130 after Ctrl-C.
    """
    options = _parser().parse_args(words)
    directory = options.project.resolve()
    try:
        # Copier takes most of a second to import: too long for --help.
        from python_patterns.grow.grow import grow  # noqa: PLC0415

        wish = Wish(
            _answers(getattr(options, "answers", [])),
            version=options.ref,
            newest=options.command == "update",
            is_dry=options.dry_run,
        )
        with tempfile.TemporaryDirectory(prefix="patterns-") as scratch:
            grown = grow(directory, wish, Path(scratch).resolve())
    except RecoveredError as error:
        print(f"patterns: {error}.", file=sys.stderr)
        return REFUSED
    except RefusedError as error:
        print(f"patterns: {error}; nothing was changed.", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\npatterns: stopped; nothing was changed.", file=sys.stderr)
        return INTERRUPTED
    _tell(grown)
    return 1 if grown.look else 0
