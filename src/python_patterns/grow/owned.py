"""What a project keeps to itself: paths that growing and updating leave alone.

They are in a file of their own, one a line. The answers file would lose them, for
copier writes it anew at each update; in ``pyproject.toml`` they would be among lines
that the template changes. A file that no template knows stays as it is, and two people
who add a path to it can merge.
"""

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from python_patterns import git
from python_patterns.answers import ANSWERS, one_line
from python_patterns.grow.report import RefusedError

FILE = ".patterns-own"
INTRODUCTION = (
    "# Paths that patterns grow and update leave alone; patterns own changes them.\n"
)


def _normal(path: str) -> str:
    """Return a path as it is compared: without a slash at its end, or dots."""
    return posixpath.normpath(path.strip())


def _refuse_outside(path: str, where: str) -> None:
    if path in {".", ".."} or path.startswith(("/", "../")):
        raise RefusedError(f"{where} is not inside the project")
    if path in {ANSWERS, FILE, ".git"} or path.startswith(".git/"):
        raise RefusedError(f"{where} cannot be left to the project")


@dataclass
class Owned:
    """The paths of one project.

    Attributes:
        project: Its directory.
    """

    project: Path

    @property
    def file(self) -> Path:
        """Where they are written."""
        return self.project / FILE

    def _lines(self) -> list[str]:
        try:
            return self.file.read_text("utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise RefusedError(f"{FILE} cannot be read: {one_line(error)}") from error

    def paths(self) -> list[str]:
        """Return the paths; those of directories end in a slash.

        Raises:
            RefusedError: The file cannot be read, or a path in it is not valid.
        """
        found = []
        for number, line in enumerate(self._lines(), start=1):
            if line.strip() and not line.startswith("#"):
                path = _normal(line)
                _refuse_outside(path, f"{line.strip()!r} in line {number} of {FILE}")
                found.append(path + "/" * line.strip().endswith("/"))
        return found

    def matcher(self) -> Callable[[str], bool]:
        """Return what says whether a path of the project is its own."""
        known = {_normal(path) for path in self.paths()}

        def is_own(path: str) -> bool:
            parts = path.split("/")
            starts = ("/".join(parts[: end + 1]) for end in range(len(parts)))
            return path == FILE or any(start in known for start in starts)

        return is_own if known else FILE.__eq__

    def add(self, words: Iterable[str], template: Callable[[], Iterable[str]]) -> None:
        """Add paths.

        Args:
            words: As the user wrote them.
            template: Lists what the template has, for paths that were never here.

        Raises:
            RefusedError: There is no such path, or it is not one of the project.
        """
        lines = self._lines() or [INTRODUCTION]
        known = {_normal(path) for path in self.paths()}
        for word in words:
            path = self._inside(word)
            if path not in known:
                known.add(path)
                if not lines[-1].endswith("\n"):
                    lines[-1] += "\n"
                lines.append(f"{self._named(path, word, template)}\n")
        self.file.write_text("".join(lines), encoding="utf-8")

    def give_back(self, words: Iterable[str]) -> None:
        """Remove paths.

        Raises:
            RefusedError: One is not in the list.
        """
        known = {_normal(path): path for path in self.paths()}
        lines = self._lines()
        for word in words:
            path = self._inside(word)
            if path not in known:
                above = [one for one in known if path.startswith(f"{one}/")]
                hint = f"; it belongs to {known[above[0]]}" if above else ""
                raise RefusedError(f"{word} is not in {FILE}{hint}")
            lines = [line for line in lines if _normal(line) != path]
        if any(line.strip() and line != INTRODUCTION for line in lines):
            self.file.write_text("".join(lines), encoding="utf-8")
        else:
            self.file.unlink()

    def _inside(self, word: str) -> str:
        """Return a path of the user's as one of the project."""
        place = PurePath(word)
        if place.is_absolute() and place.is_relative_to(self.project):
            place = place.relative_to(self.project)
        path = _normal(place.as_posix())
        if not word.strip() or any(sign in word for sign in "\n\r"):
            raise RefusedError(f"{word!r} is no path")
        _refuse_outside(path, word)
        return f"./{path}" if path.startswith("#") else path

    def _named(
        self, path: str, word: str, template: Callable[[], Iterable[str]]
    ) -> str:
        """Return a path as it is written: what is a directory ends in a slash."""
        place = self.project / path
        if place.is_symlink() or place.is_file():
            return path
        if place.is_dir():
            return f"{path}/"
        for known in (self._history(path), template()):
            found = [one for one in known if one == path or one.startswith(f"{path}/")]
            if found:
                return path if path in found else f"{path}/"
        raise RefusedError(
            f"{word} is neither in the project, nor was it ever, nor is it in the"
            " template"
        )

    def _history(self, path: str) -> Sequence[str]:
        words = ("log", "-1", "--format=", "--name-only", "-z", "--relative", "--")
        try:
            said = git.run(*words, f":(literal){path}", directory=self.project)
        except (git.GitError, OSError):
            return []
        return said.decode(errors="surrogateescape").strip("\0\n").split("\0")
