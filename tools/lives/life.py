"""One life: edits and growing in turn, and what has to hold after each step."""

import os
import re
import shutil
import stat
import traceback
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from random import Random
from unittest import mock

from python_patterns import git
from python_patterns.answers import read_answers
from python_patterns.grow import project
from python_patterns.grow.closing import Code
from python_patterns.grow.grow import grow
from python_patterns.grow.report import UNDO, RefusedError, Wish
from tools.lives.edits import Writer
from tools.lives.versions import FIRST, SECOND, Renders

# How projects begin, and what they are asked later.
SIZES = ("small", "medium", "large")
LAYOUTS = ("layer", "feature")
WORKERS = ("none", "celery", "rq", "dramatiq")
DATABASES = ("sqlite", "postgresql", "none")
CONCURRENCIES = ("async", "sync")
SERVICE = {"size": SIZES, "layout": LAYOUTS, "worker": WORKERS}
KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "framework=fastapi": {
        **SERVICE,
        "database": DATABASES,
        "concurrency": CONCURRENCIES,
        "orm": ("sqlalchemy", "tortoise"),
    },
    "framework=flask": {**SERVICE, "database": DATABASES},
    "framework=django": {**SERVICE, "concurrency": CONCURRENCIES},
    "purpose=site": {
        "size": ("medium", "large"),
        "layout": LAYOUTS,
        "worker": WORKERS,
        "database": DATABASES[:2],
    },
    "purpose=script": {
        "size": SIZES,
        "layout": LAYOUTS,
        "concurrency": CONCURRENCIES,
        "work": ("computing", "waiting"),
    },
    "purpose=worker": {"size": SIZES, "layout": LAYOUTS, "worker": WORKERS[1:]},
}
GROWTHS = 4
MOST_EDITS = 7
MOST_ANSWERS = 3
# One of how many steps is an update, and before one of how many is a dry run.
UPDATES = 5
DRY_RUNS = 8

# How often conflicts are resolved, by what is in the files.
RESOLVED = 0.6
MARKER = re.compile(rb"^(<{7} this project|={7}|>{7} the template)\r?\n", re.MULTILINE)

# How much of a deleted function is in another one that is the same and came back.
ALIKE = 0.6

# Whether it is a link, and whether a program.
MODE = 0o170000 | stat.S_IXUSR

type Snapshot = dict[str, tuple[int, bytes]]


def snapshot(root: Path, *, with_git: bool = False) -> Snapshot:
    """Read all files of a project, and what git knows of modes; of links, the text."""
    found = {}
    for directory, names, files in os.walk(root):
        if not with_git and ".git" in names:
            names.remove(".git")
        links = [name for name in names if Path(directory, name).is_symlink()]
        for path in (Path(directory, name) for name in (*files, *links)):
            is_link = path.is_symlink()
            content = os.fsencode(path.readlink()) if is_link else path.read_bytes()
            name = path.relative_to(root).as_posix()
            found[name] = path.lstat().st_mode & MODE, content
    return found


def unmerged(root: Path) -> dict[str, list[bytes]]:
    """Return what git knows of each path in conflict."""
    found: dict[str, list[bytes]] = {}
    listed = git.run("ls-files", "--unmerged", "-z", directory=root)
    for line in filter(None, os.fsdecode(listed).split("\0")):
        about, _, path = line.partition("\t")
        side = git.run("cat-file", "blob", about.split()[1], directory=root)
        found.setdefault(path, []).append(side)
    return found


def _but_git(_: str, names: list[str]) -> set[str]:
    return {".git"} & set(names)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _code(root: Path) -> Code:
    tracked = git.run("ls-files", "-z", directory=root).decode().split("\0")
    paths = {root / path for path in tracked if path.endswith(".py")}
    return Code(
        {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in paths
            if path.is_file() and not path.is_symlink()
        }
    )


@cache
def _renders(directory: Path) -> Renders:
    """Return the renders of this process."""
    return Renders(directory)


@dataclass
class Life:
    """A life of a project.

    Attributes:
        root: The project.
        scratch: Directory for what is only needed meanwhile.
        renders: Renders of the template.
        random: Decides what happens.
        counted: How often what happened.
        writer: Edits the project.
    """

    root: Path
    scratch: Path
    renders: Renders
    random: Random
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.kind = self.random.choice(sorted(KINDS))
        name, _, value = self.kind.partition("=")
        size = self.random.choice(["medium", "medium", "small"])
        answers = {name: value, "size": size, "layout": "layer"}
        if self.kind not in {"framework=fastapi", "framework=django"}:
            answers["concurrency"] = "sync"
        if self.kind == "purpose=site":
            answers["size"] = "medium"
        fresh = self.renders.fresh(answers, FIRST)
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(fresh.directory, self.root, symlinks=True)
        self.writer = Writer(self.root, self.random)
        self.asked = {
            name: values
            for name, values in KINDS[self.kind].items()
            if name in fresh.asks
        }
        for name, values in self.asked.items():
            for value in values:
                self._look_elsewhere({**fresh.answers, name: value})
        self._git("init", "-q")
        self._commit()

    def _look_elsewhere(self, answers: dict[str, object]) -> None:
        try:
            other = self.renders.fresh(answers, FIRST).directory
        except RefusedError:
            return
        files = sorted(path for path in other.rglob("*") if path.is_file())
        self.writer.elsewhere += [one.relative_to(other).as_posix() for one in files]

    def _git(self, *words: str) -> str:
        return git.run(*words, directory=self.root).decode()

    def _commit(self) -> None:
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "Work")

    def live(self) -> list[str]:
        """Live, and return what went wrong."""
        for _ in range(GROWTHS):
            for _ in range(self.random.randint(1, MOST_EDITS)):
                self.writer.edit()
                self.counted["edits"] += 1
            self.writer.forget()
            self._commit()
            faults = self._step(self._wish())
            if faults:
                return [*self.writer.done, *faults]
        return []

    def _wish(self) -> Wish:
        """Choose other answers, or the second version."""
        answers = read_answers(self.root)
        is_update = self.random.randrange(UPDATES) == 0
        if is_update and answers["_commit"] == FIRST:
            return Wish({}, version=SECOND)
        asked = sorted(self.asked.keys() & answers.keys())
        number = self.random.randint(1, min(MOST_ANSWERS, len(asked)))
        names = self.random.sample(asked, number)
        return Wish({name: self.random.choice(self.asked[name]) for name in names})

    def _step(self, wish: Wish) -> list[str]:
        """Grow, look at what became of it, and take it back."""
        words = [f"{name}={value}" for name, value in wish.answers.items()]
        told = f"{' '.join(words)} {wish.version or ''} ({self.kind})"
        self.writer.done.append(f"grow {told}")
        answers = read_answers(self.root)
        old = self.renders.fresh(answers, answers["_commit"]).directory
        # What this render does not have comes anew with other answers.
        known = b"".join(path.read_bytes() for path in old.rglob("*.py"))
        self.writer.gone = {
            name: text
            for name, text in self.writer.gone.items()
            if f"def {name}(".encode() in known
        }
        before, own = snapshot(self.root), _code(self.root)
        faults = []
        if self.random.randrange(DRY_RUNS) == 0:
            faults += self._try_dry(wish)
        try:
            self._grow(wish)
        except RefusedError as error:
            return faults + self._refused(before, str(error))
        except Exception:  # noqa: BLE001 - whatever it is, it is told with the life
            return [*faults, *traceback.format_exc().splitlines()[-12:]]
        self.counted["steps"] += 1
        self.counted["updates"] += bool(wish.version)
        look = unmerged(self.root).keys()
        self.counted["with something to look at"] += bool(look)
        faults += self._faults(look, own)
        kept = self.scratch / "kept"
        shutil.copytree(self.root, kept, symlinks=True, ignore=_but_git)
        for command in UNDO.split(" && "):
            self._git(*command.split()[1:])
        after = snapshot(self.root)
        changed = [
            path
            for path in before.keys() | after.keys()
            if before.get(path) != after.get(path)
        ]
        faults += [f"{path} is not undone" for path in sorted(changed)]
        # Then it is done again, and what is in conflict is resolved or not.
        if not look or self.random.random() < RESOLVED:
            self._take(kept)
        return faults

    def _take(self, kept: Path) -> None:
        """Take the files as they were after a step, with both sides of conflicts."""
        for path in self.root.iterdir():
            if path.name != ".git":
                _remove(path)
        shutil.copytree(kept, self.root, symlinks=True, dirs_exist_ok=True)
        for name in self.writer.paths("*"):
            content = (self.root / name).read_bytes()
            if MARKER.search(content):
                self.writer.write(name, MARKER.sub(b"", content))
        self._commit()

    def _grow(self, wish: Wish) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        with mock.patch.object(project, "render", self.renders.render):
            grow(self.root, wish, self.scratch)

    def _try_dry(self, wish: Wish) -> list[str]:
        """Try it without changing anything, not even what git keeps."""
        before = snapshot(self.root, with_git=True)
        with suppress(RefusedError):
            self._grow(Wish(wish.answers, wish.version, is_dry=True))
        self.counted["dry runs"] += 1
        is_same = snapshot(self.root, with_git=True) == before
        return [] if is_same else ["a dry run changed something"]

    def _refused(self, before: Snapshot, reason: str) -> list[str]:
        """Refusing changes nothing, and what is in the way is moved away."""
        self.writer.done.append(f"refused: {reason}")
        self.counted["refused"] += 1
        is_same = snapshot(self.root) == before
        self.writer.move_away()
        return [] if is_same else ["it refused, and changed something"]

    def _faults(self, look: Collection[str], own: Code) -> list[str]:
        """Return what a step broke and did not name."""
        files = snapshot(self.root)
        contents = [content for _, content in files.values()]
        contents += [side for sides in unmerged(self.root).values() for side in sides]
        whole = b"\n".join(contents)
        found = [
            f"lost {word}"
            for word in sorted(self.writer.words)
            if word.encode() not in whole
        ]
        found += [
            f"other data in {path}"
            for path, content in self.writer.data.items()
            if content not in contents
        ]
        found += [
            f"{path} is ignored, and was changed"
            for path, content in self.writer.ignored.items()
            if files.get(path, (0, None))[1] != content
        ]
        found += [
            f"{name} is back in {path}"
            for path in sorted(files.keys() - look)
            if path.endswith(".py")
            for name in self.writer.gone
            if _has_function(files[path][1], name, self.writer.gone[name])
        ]
        code = _code(self.root)
        tops = code.tops | own.tops
        known = {one.about for path in own.files for one in own.faults(path, own.tops)}
        for path in sorted(code.files.keys() - look):
            faults = code.faults(path, tops)
            found += [
                f"{path} {one.reason}" for one in faults if one.about not in known
            ]
        found += [
            f"{path} leads nowhere"
            for path in files.keys() - look
            if (self.root / path).is_symlink() and not (self.root / path).exists()
        ]
        return found


def _has_function(content: bytes, name: str, text: str) -> bool:
    """Return whether a module has this function, and not another one of that name."""
    start = f"def {name}("
    _, found, after = content.decode(errors="replace").partition(start)
    rest = text.partition(start)[2]
    alike = SequenceMatcher(None, rest, after[: len(rest)]).ratio()
    return bool(found) and alike > ALIKE


def live(number: int, scratch: Path) -> tuple[Counter[str], list[str]]:
    """Live a life.

    Args:
        number: Which one.
        scratch: Directory for what is only needed meanwhile.

    Returns:
        How often what happened, and what went wrong.
    """
    own = scratch / f"process-{os.getpid()}"
    # Not a secret: the number tells the life.
    random = Random(number)  # noqa: S311
    life = Life(own / "life", own / "scratch", _renders(own), random)
    try:
        faults = life.live()
    except Exception:  # noqa: BLE001 - a life that breaks is one that went wrong
        faults = [traceback.format_exc()]
    return life.counted + Counter(lives=1), [
        f"life {number}",
        *faults,
    ] if faults else []
