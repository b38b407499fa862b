"""Definitions that go to another file than the rest of theirs.

A small project's ``utils.py`` becomes a dozen modules, and a medium one's modules become
``utils.py``. What a person changed there is carried definition by definition: a changed
one meets the template's in the file that has it now, and an added one follows the one
that stands above it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from python_patterns.grow.modules import Modules, Piece, pieces


@dataclass(frozen=True)
class Change:
    """What became of one definition in the project.

    Attributes:
        name: What it defines.
        old: Its text in the old render; empty where the user added it.
        own: Its text in the project; empty where the user deleted it.
        above: The definition above it in the project, for one that was added.
    """

    name: str
    old: str
    own: str
    above: str


@dataclass
class Split:
    """What is carried out of one file.

    Attributes:
        changes: By file of the new render.
        stays: Whether something that was changed has no other place.
    """

    changes: dict[str, list[Change]] = field(default_factory=dict)
    stays: bool = False


def _by_name(text: str) -> dict[str, Piece]:
    return {piece.name: piece for piece in pieces(text) if piece.name}


def goes_apart(path: str, old: str, modules: Modules) -> bool:
    """Say whether definitions of a file of the old render are in others now.

    Args:
        path: The file's path in the old render.
        old: Its text there.
        modules: Where names go.
    """
    mapped = modules.moves.of(path)
    homes = {modules.home(path, piece.name) for piece in pieces(old) if piece.name}
    return bool(homes - {mapped, None})


def split(path: str, old: str, own: str, modules: Modules) -> Split:
    """Find where the changes in a file go that has no single successor.

    Args:
        path: The file's path in the old render.
        old: Its text there.
        own: Its text in the project.
        modules: Where names go; told of definitions that were added.
    """
    before, after = _by_name(old), _by_name(own)
    homes = {name: modules.home(path, name) for name in before}
    found = Split()
    place, above = _first_home(after, homes), ""
    for name, piece in after.items():
        if name in before:
            place, above = homes[name] or place, name if homes[name] else above
            if piece.text == before[name].text:
                continue
            target = homes[name]
            change = Change(name, before[name].text, piece.text, "")
        else:
            target = place
            change = Change(name, "", piece.text, above)
            above = name
            if target:
                modules.added[path, name] = target
        if target is None:
            found.stays = True
        else:
            found.changes.setdefault(target, []).append(change)
    for name in before.keys() - after.keys():
        target = homes[name]
        if target is not None:
            change = Change(name, before[name].text, "", "")
            found.changes.setdefault(target, []).append(change)
    nameless = [[p.text for p in pieces(text) if not p.name] for text in (old, own)]
    found.stays |= nameless[0] != nameless[1]
    return found


def _first_home(
    after: Mapping[str, Piece], homes: Mapping[str, str | None]
) -> str | None:
    return next((homes[name] for name in after if homes.get(name)), None)


def applied(text: str, changes: list[Change], *, own: bool) -> str:
    """Write changes into a file, as they were before or after the user made them.

    Args:
        text: The file, as the new render or an earlier step has it.
        changes: What was changed.
        own: Whether to write what the user made of it, or what it was.
    """
    for change in changes:
        found = _by_name(text)
        lines = text.splitlines(keepends=True)
        wanted = change.own if own else change.old
        if change.name in found:
            piece = found[change.name]
            lines[piece.first : piece.after] = [wanted] if wanted else []
        elif wanted:
            line = found[change.above].after if change.above in found else len(lines)
            lines[line:line] = ["\n\n", wanted]
        text = "".join(lines)
    return text
