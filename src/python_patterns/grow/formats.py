"""A report as text for people, as JSON for programs, and as Markdown for reviews."""

import json
import re
from collections.abc import Iterator, Sequence

from python_patterns.grow.report import UNDO, Change, Check, Origin, Report

# The version of the JSON document: another one if a key changes its meaning.
FORMAT = 1
LABELS = {
    "added": "added",
    "moved": "moved",
    "merged": "merged",
    "rewritten": "rewritten",
    "changed": "changed",
    "removed": "removed",
    "left_alone": "left alone",
    "conflict": "in conflict",
}
# Hosts of repositories take bodies of some 65,000 characters.
LONGEST = 60_000
THEN = (
    "Then run patterns continue, and git commit. Or take everything back, with patterns"
    " abort."
)


def _printable(text: str) -> str:
    """Replace bytes of file names that are no text."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _counts(change: Change) -> str:
    if not change.diff:
        return ""
    lines = change.diff.splitlines()[2:]
    signs = [sum(line.startswith(sign) for line in lines) for sign in "+-"]
    return f" (+{signs[0]} -{signs[1]})"


def _place(change: Change) -> str:
    return f"{change.origin} -> {change.path}" if change.origin else change.path


# --- Text -----------------------------------------------------------------------------


def as_text(report: Report) -> str:
    """Write a report for a terminal."""
    return _printable("\n".join(_text(report)))


def _text(report: Report) -> Iterator[str]:
    yield from _differences(report)
    for section in report.changelog:
        yield f"\nThe changelog of the template, {section.version}:"
        yield from map(_item, section.entries)
    if report.changelog:
        yield ""
    listed = {kind: _listed(report, kind) for kind in LABELS}
    for kind, places in listed.items():
        yield from (f"  {LABELS[kind]:<11} {place}" for place in places)
    counts = [f"{len(listed[kind])} {LABELS[kind]}" for kind in LABELS if listed[kind]]
    yield f"{', '.join(counts) or 'Nothing changes'}."
    if report.checks:
        yield checks_as_text(report.checks)
    if report.is_dry:
        yield from _lines(report)
        yield from _conflicts(report)
        yield "\nNothing was changed: this was a dry run."
    elif report.status == "failed":
        yield "Nothing was changed, because of the checks that failed."
    elif report.conflicts:
        yield "Nothing is committed. See it with: git diff HEAD"
        yield from _conflicts(report)
        yield f"\n{THEN}"
        if report.message:
            yield f"{report.message[0].upper()}{report.message[1:]}."
    elif report.status == "merged":
        yield "Nothing is committed. See it with: git diff --cached"
        yield f"Undo it, before you commit, with: {UNDO}"


def checks_as_text(checks: Sequence[Check]) -> str:
    """Write what became of checks for a terminal."""
    lines = []
    for one in checks:
        lines.append(f"  {'passed' if one.is_passed else 'FAILED':<11} {one.command}")
        lines += [f"    {line}" for line in one.output]
    return "\n".join(lines)


def _conflicts(report: Report) -> Iterator[str]:
    if report.conflicts:
        yield "\nLook at these; git status lists them until git add:"
    for one in report.conflicts:
        yield f"  {one.path}: {one.reason}"
        yield f"    {one.advice}"


def _differences(report: Report) -> Iterator[str]:
    """Yield which versions and answers changed."""
    before, after = report.before, report.after
    if before and after:
        if before.source != after.source:
            yield f"source: {before.source} -> {after.source}"
        if before.version != after.version:
            yield f"commit: {before.version} -> {after.version}"
    for name, (old, new) in (report.answers or {}).items():
        yield f"{name}: {old} -> {new}"


def _listed(report: Report, kind: str) -> list[str]:
    """Return what a line is printed for; a file that moved may have two."""
    if kind == "moved":
        return [_place(one) for one in report.files if one.origin]
    if kind == "left_alone":
        return [
            f"{one.path} ({one.reason})" for one in report.files if one.kind == kind
        ]
    return [one.path for one in report.files if one.kind == kind]


def _lines(report: Report) -> Iterator[str]:
    """Yield the lines that change; those of whole files are only counted."""
    for one in report.files:
        if one.diff:
            yield f"\n{_place(one)}: {one.reason}{_counts(one)}"
            if one.kind not in {"added", "removed"}:
                yield one.diff.rstrip("\n")


# --- JSON -----------------------------------------------------------------------------


def as_json(report: Report) -> str:
    """Write a report for programs; each key is there, whatever the status."""
    document = {
        "format": FORMAT,
        "command": report.command,
        "status": report.status,
        "exit_code": report.exit_code,
        "dry_run": report.is_dry,
        "message": report.message,
        "template": {"from": _origin(report.before), "to": _origin(report.after)},
        "answers": {
            name: {"from": old, "to": new}
            for name, (old, new) in (report.answers or {}).items()
        },
        "changelog": [
            {"version": one.version, "entries": list(one.entries)}
            for one in report.changelog
        ],
        "files": [
            {
                "path": _printable(one.path),
                "from": one.origin and _printable(one.origin),
                "change": one.kind,
                "reason": _printable(one.reason),
                "advice": one.advice,
                "diff": one.diff and _printable(one.diff),
            }
            for one in report.files
        ],
        "checks": [
            {
                "command": one.command,
                "passed": one.is_passed,
                "output": list(one.output),
            }
            for one in report.checks
        ],
    }
    return json.dumps(document, indent=2, default=str)


def _origin(origin: Origin | None) -> dict[str, str] | None:
    if origin is None:
        return None
    return {"source": origin.source, "version": origin.version}


# --- Markdown -------------------------------------------------------------------------


def as_markdown(report: Report) -> str:
    """Write a report as the body of a pull request."""
    parts = [*_markdown(report)]
    room = LONGEST - len("\n\n".join(parts))
    shown: list[str] = []
    left = 0
    for one in report.files:
        if not one.diff or one.kind in {"added", "removed"}:
            continue
        block = _details(one)
        if len(block) + 2 <= room:
            room -= len(block) + 2
            shown.append(block)
        else:
            left += 1
    if left:
        shown.append(f"The lines of {left} more files are left out here.")
    if shown:
        parts += ["### Lines", *shown]
    return _printable("\n\n".join(parts))


def _markdown(report: Report) -> Iterator[str]:
    yield f"## {_title(report)}"
    if report.message:
        yield f"Not done: {report.message}."
    yield from _template(report)
    if report.conflicts:
        yield "### Conflicts"
        yield "\n".join(
            f"- {_code(one.path)}: {one.reason}. To do: {one.advice}."
            for one in report.conflicts
        )
    if report.checks:
        yield "### Checks"
        yield "\n".join(
            f"- {_code(one.command)}: {'passed' if one.is_passed else '**failed**'}"
            for one in report.checks
        )
    for one in report.checks:
        if one.output:
            yield _fenced("\n".join(one.output), "text")
    if report.changelog:
        yield "### What is new in the template"
    for section in report.changelog:
        yield f"#### {section.version}"
        yield "\n".join(_item(entry) for entry in section.entries)
    if report.after:
        yield "### Files"
        others = [one for one in report.files if one.kind != "conflict"]
        yield _table(others) if others else "Nothing changes."


def _template(report: Report) -> Iterator[str]:
    """Yield which version of which template, and which answers, the project has."""
    before, after = report.before, report.after
    if before and after:
        versions = dict.fromkeys((before.version, after.version))
        was = (
            f", before {_code(before.source)}" if before.source != after.source else ""
        )
        yield f"Template: {_code(after.source)}{was}, {' to '.join(versions)}."
    if report.answers:
        yield "\n".join(
            f"- {_code(name)}: {_code(str(old))} is now {_code(str(new))}"
            for name, (old, new) in report.answers.items()
        )


def _title(report: Report) -> str:
    before, after = report.before, report.after
    if not before or not after:
        return f"patterns {report.command}: {report.status}"
    if before.version != after.version:
        return f"Update from {before.version} to {after.version} of the template"
    answers = [f"{name}={new}" for name, (_, new) in (report.answers or {}).items()]
    return f"Grow: {', '.join(answers) or 'nothing new'}"


def _item(entry: str) -> str:
    return "- " + "\n".join(
        line if number == 0 or not line else f"  {line.strip()}"
        for number, line in enumerate(entry.splitlines())
    )


def _table(changes: Sequence[Change]) -> str:
    lines = ["| file | what | why |", "|---|---|---|"]
    for one in changes:
        place = _code(one.path)
        if one.origin:
            place = f"{_code(one.origin)} → {place}"
        cells = (place, LABELS[one.kind], f"{one.reason}{_counts(one)}")
        lines.append(f"| {' | '.join(cell.replace('|', '\\|') for cell in cells)} |")
    return "\n".join(lines)


def _code(text: str) -> str:
    """Write text as code, whatever is in it."""
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}" if len(ticks) == 1 else f"{ticks} {text} {ticks}"


def _details(change: Change) -> str:
    lines = _fenced((change.diff or "").rstrip("\n"), "diff")
    title = _place(change).replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<details><summary>{title}: {change.reason}{_counts(change)}</summary>\n\n"
        f"{lines}\n\n</details>"
    )


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, *(len(run) + 1 for run in ["", *re.findall("`+", text)]))
    return f"{fence}{language}\n{text}\n{fence}"
