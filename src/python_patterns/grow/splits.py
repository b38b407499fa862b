"""Changes carried definition by definition, to wherever the template has it now.

A small project's ``utils.py`` becomes a dozen modules, and a medium one's modules
become ``utils.py``. A definition that was changed meets the template's in the file that
has it now, and one that was added follows the one that stands above it. In a file that
stays whole this keeps apart what only stands side by side.
"""

import ast
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from python_patterns.grow.close import merged_definition
from python_patterns.grow.imports import Block, block, has_same_comments
from python_patterns.grow.modules import (
    Modules,
    Piece,
    between,
    lines_of,
    parse,
    pieces,
)


@dataclass(frozen=True)
class Change:
    """What became of one definition in the project.

    Attributes:
        name: What it defines.
        old: Its text in the old render; empty where the user added it.
        own: Its text in the project; empty where the user deleted it.
        above: The definition above it in the project, for one that was added.
        gap: The empty lines above it in the project.
    """

    name: str
    old: str
    own: str
    above: str = ""
    gap: str = "\n\n"


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


def _is_plain(text: str) -> bool:
    """Return whether each name is defined once, and each statement on its own lines."""
    names = [piece.name for piece in pieces(text) if piece.name]
    module = parse(text)
    body = module.body if module else []
    is_apart = all(
        (one.end_lineno or one.lineno) < other.lineno
        for one, other in itertools.pairwise(body)
    )
    return "\r" not in text and is_apart and len(names) == len(set(names))


def changes(old: str, own: str) -> list[Change] | None:
    """Find what was changed in a module, by definition.

    Args:
        old: The module in the old render.
        own: The module in the project.

    Returns:
        The changes, in the project's order; nothing where they cannot be told
        so: something between the definitions changed, or their order.
    """
    if parse(old) is None or parse(own) is None or between(old) != between(own):
        return None
    before, after = _by_name(old), _by_name(own)
    is_plain = _is_plain(old) and _is_plain(own)
    kept = [name for name in after if name in before]
    if not is_plain or kept != [name for name in before if name in after]:
        return None
    found, above = [], ""
    for name, piece in after.items():
        if name not in before:
            found.append(Change(name, "", piece.text, above, piece.gap))
        elif piece.text != before[name].text:
            found.append(Change(name, before[name].text, piece.text))
        above = name
    gone = [name for name in before if name not in after]
    return found + [Change(name, before[name].text, "") for name in gone]


def goes_apart(path: str, old: str, modules: Modules) -> bool:
    """Return whether definitions of a file of the old render are in others now.

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
    found = changes(old, own)
    if found is None or not _are_imports_used(old, own, found):
        return Split(stays=True)
    homes = {name: modules.home(path, name) for name in _by_name(old)}
    anchors = _anchors(list(_by_name(own).values()), homes)
    result = Split()
    for change in found:
        is_added = not change.old
        above, below = anchors.get(change.name, ("", None))
        target = below if is_added else homes[change.name]
        if target and is_added:
            modules.added[path, change.name] = target
        if target:
            placed = replace(change, above=above)
            result.changes.setdefault(target, []).append(placed)
        elif change.own:
            result.stays = True
    return result


def deleted(path: str, old: str, own: str, modules: Modules) -> dict[str, list[Change]]:
    """Find where definitions are that the user deleted from a file.

    Args:
        path: The file's path in the old render.
        old: Its text there.
        own: Its text in the project.
        modules: Where names go.
    """
    found: dict[str, list[Change]] = {}
    kept = _by_name(own)
    for name, piece in _by_name(old).items():
        home = modules.home(path, name)
        if name not in kept and home:
            found.setdefault(home, []).append(Change(name, piece.text, ""))
    return found


def _are_imports_used(old: str, own: str, found: Sequence[Change]) -> bool:
    """Return whether changes of imports can move along with the definitions."""
    before, after = block(old), block(own)
    if before is None or after is None:
        return before is after
    words = set(re.findall(r"\w+", "".join(change.own for change in found)))
    # An import that moves is written anew, without its comment.
    is_plain = not any("#" in text for text in _new_statements(before, after))
    return (
        is_plain
        and has_same_comments(before, after)
        and all(one.bound in words for one in after.names - before.names)
    )


def _new_statements(before: Block, after: Block) -> list[str]:
    known = {text for text, _ in before.statements}
    return [text for text, _ in after.statements if text not in known]


def _anchors(
    own: Sequence[Piece], homes: Mapping[str, str | None]
) -> dict[str, tuple[str, str | None]]:
    """Find for each definition the one above it that has a place, and that place.

    A route belongs to the others of its router, wherever it stands.
    """
    found: dict[str, tuple[str, str | None]] = {}
    names = {piece.name for piece in own}
    registered = {
        piece.name: root for piece in own if (root := _registrar(piece)) in names
    }
    place = next((homes[piece.name] for piece in own if homes.get(piece.name)), None)
    above = ""
    last: dict[str, tuple[str, str | None]] = {}
    for name in (piece.name for piece in own):
        root = registered.get(name, "")
        if name not in homes and root in last:
            found[name] = last[root]
            last[root] = name, last[root][1]
            continue
        found[name] = above, place
        if homes.get(name):
            place, above = homes[name], name
            last[root] = name, place
        elif name not in homes:
            above = name
    return found


def _registrar(piece: Piece) -> str:
    """Return what the first decorator of a definition is a method of, if it is one."""
    module = parse(piece.text)
    decorators = getattr(module.body[0], "decorator_list", []) if module else []
    node = decorators[0] if decorators else None
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _merged(change: Change, new: str) -> str | None:
    """Merge what the user and the template made of a definition, if that is safe."""
    if not change.old or not change.own or new in {change.old, change.own}:
        return None
    return merged_definition(change.old, change.own, new)


def applied(text: str, changed: Sequence[Change], *, own: bool) -> str:
    """Write changes into a file, as they were before or after the user made them.

    Args:
        text: The file, as the new render or an earlier step has it.
        changed: What was changed.
        own: Whether to write what the user made of it, or what it was.
    """
    for change in changed:
        found = _by_name(text)
        lines = lines_of(text)
        wanted = change.own if own else change.old
        if change.name in found:
            piece = found[change.name]
            merged = _merged(change, piece.text)
            if merged is not None:
                wanted = merged if own else piece.text
            lines[piece.first : piece.after] = [wanted] if wanted else []
        elif wanted:
            line = found[change.above].after if change.above in found else len(lines)
            lines[line:line] = [change.gap, wanted]
        text = "".join(lines)
    return text
