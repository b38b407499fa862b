"""``patterns new``, ``grow``, ``update`` and ``gaps``, for those who own a project."""

import argparse
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

from python_patterns.answers import answers_of, read_answers, with_address
from python_patterns.git import Repository
from python_patterns.grow.report import (
    EXIT_CODES,
    RecoveredError,
    RefusedError,
    Report,
    Wish,
)

REFUSED = EXIT_CODES["refused"]
INTERRUPTED = EXIT_CODES["interrupted"]
BACK_NAME = "Shift-Tab"
EXITS = (
    "exit codes: 0 merged, or nothing changes; 1 conflicts to resolve, or with --verify"
    " checks that fail, and nothing was changed; 2 refused, nothing was changed; 130"
    " stopped by Ctrl-C, nothing was changed"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="patterns",
        description="Start a project, change its answers or version, list its gaps.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser(
        "new",
        help="start a project",
        description="Ask what to build, recommend a shape, and write the project."
        f" {BACK_NAME} goes back to the question before.",
    )
    new.add_argument(
        "directory", nargs="?", type=Path, help="an empty one, or none yet"
    )
    new.add_argument(
        "--data",
        metavar="ANSWER=VALUE",
        action="append",
        default=[],
        help="an answer, which is not asked then; can be repeated",
    )
    new.add_argument("--data-file", metavar="FILE", type=Path, help="answers as YAML")
    new.add_argument(
        "--defaults", action="store_true", help="ask nothing: take what is recommended"
    )
    new.add_argument("--source", help="the template: a directory, or a repository")
    new.add_argument("--ref", help="tag, branch or commit of the template")
    new.add_argument(
        "--explain",
        action="store_true",
        help="print what is recommended for these answers, and why; write nothing",
    )
    new.add_argument("--json", action="store_true", help="explain as JSON")
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument(
        "--project", type=Path, default=Path(), help="directory of the project"
    )
    common = argparse.ArgumentParser(add_help=False, parents=[every])
    common.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would change, line by line and why, and change nothing",
    )
    verifying = argparse.ArgumentParser(add_help=False)
    verifying.add_argument(
        "--verify",
        action="store_true",
        help="first run the project's own checks in a copy of the result",
    )
    forms = common.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print the result as JSON")
    forms.add_argument(
        "--markdown",
        action="store_true",
        help="print the result as the body of a pull request",
    )
    common.add_argument("--ref", help="tag, branch or commit of the template")
    common.add_argument(
        "--source",
        metavar="ADDRESS",
        help="where the template is now, if it moved; written into the answers",
    )
    grow = commands.add_parser(
        "grow",
        parents=[common, verifying],
        help="change answers: files move, edits move along",
        description="Change answers. The version stays, unless --ref gives another.",
        epilog=EXITS,
    )
    grow.add_argument("answers", nargs="*", metavar="answer=value")
    commands.add_parser(
        "update",
        parents=[common, verifying],
        help="update to the template's newest version",
        description="Keep the answers and update to the newest tag, or to --ref.",
        epilog=EXITS,
    )
    commands.add_parser(
        "continue",
        parents=[every, verifying],
        help="finish a merge that had conflicts",
        description="Check that no conflict is left in what git would commit, and that"
        " every module compiles and finds what it imports.",
        epilog="exit codes: 0 all is merged; 1 something is left; 2 there is no merge",
    )
    commands.add_parser(
        "abort",
        parents=[every],
        help="take back the last merge, until it is committed",
        description="Give the project back as it was before the last grow or update, to"
        " the byte. What was changed since is put into git's stash.",
        epilog="exit codes: 0 taken back; 2 refused, or there is no merge",
    )
    own = commands.add_parser(
        "own",
        parents=[every],
        help="name paths that grow and update leave alone",
        description="Name paths, also of files that you removed, that grow and update"
        " leave alone from now on. Without a path, list them.",
    )
    own.add_argument("paths", nargs="*", metavar="PATH", help="a file or a directory")
    own.add_argument(
        "--give-back",
        action="store_true",
        help="let the template change these paths again",
    )
    gaps = commands.add_parser(
        "gaps",
        parents=[every],
        help="list the project's open gaps, and the next step for each",
        description="List the project's open gaps. Exits with 1 while there is one, so"
        " that CI can check.",
    )
    gaps.add_argument(
        "--accept",
        metavar="GAP",
        action="append",
        default=[],
        help="name of a gap that may stay open; can be repeated",
    )
    return parser


def _say(what: str) -> None:
    """Show what is done at this moment, apart from the result."""
    print(f"{what} …", file=sys.stderr, flush=True)


def _grow(options: argparse.Namespace, scratch: Path) -> int:
    # Copier takes most of a second to import: too long for --help.
    from python_patterns.grow.grow import grow  # noqa: PLC0415

    wish = Wish(
        answers_of(getattr(options, "answers", [])),
        version=options.ref,
        newest=options.command == "update",
        is_dry=options.dry_run,
        source=_place(options.source),
        is_verified=options.verify,
        is_reviewed=options.dry_run or options.json or options.markdown,
    )
    report = grow(options.project.resolve(), wish, scratch, _say)
    print(_written(options, report))
    return report.exit_code


def _written(options: argparse.Namespace, report: Report) -> str:
    from python_patterns.grow import formats  # noqa: PLC0415 - as above

    if options.json:
        return formats.as_json(report)
    return formats.as_markdown(report) if options.markdown else formats.as_text(report)


def _place(source: str | None) -> str | None:
    """Return where a template is; the place of a directory or file as a whole."""
    if source and Path(source).expanduser().exists():
        return str(Path(source).expanduser().resolve())
    return source


def _at_rest(options: argparse.Namespace, scratch: Path) -> Repository:
    """Return the repository of a project to which nothing writes any more."""
    from python_patterns.grow.grow import recover  # noqa: PLC0415 - as above
    from python_patterns.grow.project import check_git  # noqa: PLC0415

    repository = Repository(options.project.resolve(), scratch)
    check_git(repository)
    recover(repository)
    return repository


def _continue(options: argparse.Namespace, scratch: Path) -> int:
    from python_patterns.grow import unfinished  # noqa: PLC0415 - as above

    repository = _at_rest(options, scratch)
    look = unfinished.check_finished(repository)
    if look:
        print("Look at these, and run this again:")
        for path, reason in look.items():
            print(f"  {path}: {reason}")
        return 1
    if options.verify and not _is_verified(repository):
        return 1
    unfinished.Record(repository).forget()
    print("All is merged. Commit it with: git commit")
    return 0


def _is_verified(repository: Repository) -> bool:
    """Run the checks in a copy of what git would commit, and print their results."""
    from python_patterns.grow.formats import checks_as_text  # noqa: PLC0415 - as above
    from python_patterns.grow.project import render_answers  # noqa: PLC0415
    from python_patterns.grow.verify import Verifying, commands_of  # noqa: PLC0415

    answers = read_answers(repository.project)
    rendered = render_answers(
        answers, answers.get("_commit"), repository.scratch / "asked"
    )
    verifying = Verifying(repository, commands_of(rendered), _say)
    checks = verifying.run(repository.line("write-tree"))
    print(checks_as_text(checks))
    return all(check.is_passed for check in checks)


def _abort(options: argparse.Namespace, scratch: Path) -> int:
    from python_patterns.grow import unfinished  # noqa: PLC0415 - as above

    kept = unfinished.abort(_at_rest(options, scratch))
    print("The project is as it was before.")
    if kept:
        print("What you changed since is in git's stash: git stash show -p")
        for path in kept:
            print(f"  {path}")
    return 0


def _own(options: argparse.Namespace, scratch: Path) -> int:
    from python_patterns.grow.owned import FILE, Owned  # noqa: PLC0415 - as above

    project = options.project.resolve()
    answers = read_answers(project)
    owned = Owned(project)

    def template() -> list[str]:
        from python_patterns.grow.project import render  # noqa: PLC0415 - as above

        made = render(answers, answers.get("_commit"), scratch / "project").directory
        return [path.relative_to(made).as_posix() for path in made.rglob("*")]

    if options.give_back:
        if not options.paths:
            raise RefusedError("name the paths to give back")
        owned.give_back(options.paths)
    elif options.paths:
        owned.add(options.paths, template)
    paths = owned.paths()
    for path in paths:
        print(path)
    if not paths:
        print("No path: the template may change every file.")
    if options.paths:
        print(f"Commit {FILE}, so that this holds for everybody.")
    return 0


def wrapped(text: str) -> str:
    """Return a text whose sentences fit the terminal; commands stay as they are."""
    width = min(shutil.get_terminal_size().columns, 100)
    lines = []
    for line in text.splitlines():
        is_command = line.startswith("  ")
        lines += [line] if is_command or not line else textwrap.wrap(line, width - 1)
    return "\n".join(lines)


def _new(options: argparse.Namespace, scratch: Path) -> int:
    from python_patterns import new  # noqa: PLC0415 - as above

    source = options.source or new.own_source()
    if not source:
        raise RefusedError(
            "this command does not know its template: name it by --source"
        )
    if options.json and not options.explain:
        raise RefusedError("--json is the form of what --explain prints: give both")
    if not options.directory and not options.explain:
        raise RefusedError("name the directory of the project: patterns new DIRECTORY")
    order = new.Order(
        destination=(options.directory or Path("project")).absolute(),
        source=source,
        version=options.ref,
        given=new.read_given(options.data, options.data_file),
        asks=not (options.defaults or options.explain),
    )
    if order.asks and not sys.stdin.isatty():
        raise RefusedError("questions need a terminal: give --defaults to ask none")
    with new.prepared(order, scratch) as ready:
        if options.explain:
            print(new.explained(ready.answers, is_json=options.json))
            return 0
        if order.asks:
            print(f"\n{new.summary(ready)}\n")
            if not new.is_confirmed(ready):
                raise KeyboardInterrupt
        print(wrapped(ready.write()))
    return 0


def _gaps(options: argparse.Namespace, scratch: Path) -> int:
    from python_patterns.gaps import find_gaps  # noqa: PLC0415 - as above
    from python_patterns.grow.project import render  # noqa: PLC0415

    directory = options.project.resolve()
    answers = read_answers(directory)
    template = render(answers, answers.get("_commit"), scratch / "project")
    if "gap_rules" not in template.values:
        raise RefusedError(
            "the project's version of the template knows no gaps yet: update it first"
        )
    found = find_gaps(directory, template.values["gap_rules"], options.accept)
    text = "\n\n".join(map(str, found)) or template.values["no_gap"]
    print(with_address(text, answers["_src_path"]))
    return 1 if found else 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Returns:
        0 where all is merged and no gap is left, 1 where something is in conflict or
        open, 2 where nothing was done, and 130 after Ctrl-C.
    """
    options = _parser().parse_args(words)
    run, unchanged = {
        "gaps": (_gaps, ""),
        "new": (_new, "; nothing was written"),
        "continue": (_continue, ""),
        "abort": (_abort, ""),
        "own": (_own, "; nothing was changed"),
    }.get(options.command, (_grow, "; nothing was changed"))
    from python_patterns.render import kept_on_disk  # noqa: PLC0415 - as above

    is_written = options.command in {"grow", "update"} and (
        options.json or options.markdown
    )

    def told(status: str, message: str) -> int:
        print(f"patterns: {message}.", file=sys.stderr)
        if is_written:
            report = Report(options.command, status, options.dry_run, message)
            print(_written(options, report))
        return EXIT_CODES[status]

    try:
        with (
            tempfile.TemporaryDirectory(prefix="patterns-") as scratch,
            kept_on_disk(),
        ):
            return run(options, Path(scratch).resolve())
    except RecoveredError as error:
        return told("refused", str(error))
    except RefusedError as error:
        return told("refused", f"{error}{unchanged}")
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return told("interrupted", f"stopped{unchanged}")
