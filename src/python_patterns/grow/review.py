"""What a merge does to each file, with reasons and lines."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from python_patterns.git import Entry, Repository, Tree
from python_patterns.grow.plan import WHY, WHY_ASIDE, Merger, Plan
from python_patterns.grow.report import Change

BOTH, GONE, DELETED, TWO = (
    WHY[frozenset(stages)] for stages in ({1, 2, 3}, {1, 2}, {1, 3}, {2, 3})
)
# What to do about a conflict, by how its reason begins or what is in it.
ADVICE = (
    (BOTH, "keep what is right of both sides and remove the markers"),
    (TWO, "keep what is right of both, or give your file another name"),
    (
        GONE,
        "take what you still need to where it belongs now and remove it, or keep it",
    ),
    (DELETED, "stay without it (git rm), or take what the template has now"),
    (WHY_ASIDE, "give one of them another name"),
    (
        "is .* in the template",
        "take your changes there, or give your file another name",
    ),
    (".*(imports|uses) ", "use what there is now, or bring back what it needs"),
    ("does not compile", "mend it"),
    (".*awaited", "add or remove await"),
    ("links to ", "let it lead elsewhere, or remove it"),
)
SIMILAR = 50


def advice(reason: str) -> str:
    """Return what to do about a conflict."""
    for beginning, words in ADVICE:
        if re.match(beginning, reason):
            return f"{words}; then git add"
    return "look at it; then git add"


@dataclass
class Review:
    """Sorts the project's files by what happens to them.

    Attributes:
        repository: The project's.
        own: The project before.
        merger: What merged it.
        plan: What becomes of it.
    """

    repository: Repository
    own: Tree
    merger: Merger
    plan: Plan

    def changes(self, *, with_lines: bool) -> list[Change]:
        """Return what happens to each file.

        Args:
            with_lines: Whether to compare their lines.
        """
        origins = self._origins()
        found = sorted(self._sorted(origins), key=lambda change: change.path)
        if not with_lines:
            return found
        diffs = self._diffs(origins)
        return [replace(one, diff=diffs.get(one.path)) for one in found]

    def _origins(self) -> dict[str, str]:
        """Find where files were that are somewhere else now."""
        moved = {
            path: target
            for path, target in self.plan.moves.items()
            if path not in self.plan.tree and target not in self.own
        }
        trees = (self.own, self.plan.tree)
        before, after = (self.repository.write_tree(tree) for tree in trees)
        for path, target in self.repository.renames(before, after, SIMILAR).items():
            is_known = path in moved or target in moved.values()
            if self.own[path].id != self.repository.empty and not is_known:
                moved[path] = target
        return {target: path for path, target in moved.items()}

    def _sorted(self, origins: Mapping[str, str]) -> Iterator[Change]:
        plan, own = self.plan, self.own
        conflicts = {conflict.path for conflict in plan.conflicts} | plan.reasons.keys()
        sources = set(origins.values())
        for path in conflicts:
            why = plan.reasons.get(path, BOTH)
            yield Change(path, "conflict", why, origins.get(path), advice(why))
        for path in plan.tree.keys() - conflicts:
            origin, entry = origins.get(path), plan.tree[path]
            if origin or own.get(path) != entry:
                kind, why = self._kind(path, origin, entry)
                yield Change(path, kind, why, origin)
        for path in own.keys() - plan.tree.keys() - sources - conflicts:
            yield Change(path, "removed", "gone from the template")
        for path, why in plan.left.items():
            if path not in conflicts:
                yield Change(path, "left_alone", why)

    def _kind(self, path: str, origin: str | None, entry: Entry) -> tuple[str, str]:
        was = origin or path
        if was not in self.own:
            return "added", "new in the template"
        template = self.merger.old.get(was), self.merger.new.get(path)
        if template[0] is None:
            if entry.id != self.own[was].id:
                return "rewritten", "names what moved"
            return "moved", "follows the files beside it"
        differs = template[0] != template[1]
        if path in self.plan.edited:
            there = "moved and changed" if differs else "moved"
            why = f"{there} in the template" if origin else "and in the template"
            return "merged", f"changed here{',' * bool(origin)} {why}"
        if origin:
            return "moved", f"moved{' and changed' * differs} in the template"
        return "changed", "changed in the template"

    def _diffs(self, origins: Mapping[str, str]) -> dict[str, str]:
        """Compare the lines of all files, those that moved with what they were."""
        before = {
            path: entry
            for path, entry in self.own.items()
            if path not in origins.values()
        } | {path: self.own[origin] for path, origin in origins.items()}
        trees = before, self.plan.tree
        words = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "-U3")
        output = self.repository.run(
            *("diff-tree", "-r", "-z", "--raw", "--patch", "--full-index", *words),
            *map(self.repository.write_tree, trees),
        )
        raw, _, patch = output.partition(b"\0\0")
        paths = raw.decode(errors="surrogateescape").split("\0")[1::2]
        chunks = re.split(rb"^diff --git ", patch, flags=re.MULTILINE)[1:]
        found = {}
        for path, chunk in zip(paths, chunks, strict=True):
            start = chunk.find(b"\n@@ ")
            if start >= 0:
                old = origins.get(path, path) if path in before else "/dev/null"
                new = path if path in self.plan.tree else "/dev/null"
                lines = chunk[start + 1 :].decode(errors="replace")
                found[path] = f"--- {old}\n+++ {new}\n{lines}"
        return found
