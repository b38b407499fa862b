"""What passed already, so that nothing is checked twice."""

import hashlib
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

ANSWERS = ".copier-answers.yml"
# The modules that decide what passes; those that draw, measure or choose do not.
JUDGES = (
    *("checks", "matrix", "passed", "programs", "servers", "tally"),
    *("warm", "warm_child", "warm_parent"),
)


@cache
def _tools() -> bytes:
    """Hash what judges: the code of the checks, and the versions of what it uses."""
    versions = sorted(f"{one.name} {one.version}\n" for one in distributions())
    digest = hashlib.sha256("".join(versions).encode())
    for name in JUDGES:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.digest()


def _tree(tree: Path) -> bytes:
    """Hash names, modes and content of a project's files.

    Of what is only read by people the name is enough: no test and no tool opens it, but
    the one that builds the wheel, which takes whatever it says.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        is_prose = path.suffix == ".md"
        content = b"" if is_prose else path.read_bytes()
        if path.name == ANSWERS:
            # It also names the copy of the template, which is another in every run.
            lines = content.splitlines()
            content = b"\n".join(line for line in lines if not line.startswith(b"_"))
        name = path.relative_to(tree).as_posix()
        mode = path.stat().st_mode
        digest.update(f"{name} {mode:o} {len(content)}\n".encode() + content)
    return digest.digest()


class Passed:
    """The tiers that projects passed before, kept in a directory.

    A tier is known by everything that decides about it: the project's files, which
    also declare its environment (packages are taken as of one day), the version of
    Python, the code of the checks, and the versions of what that uses.
    """

    def __init__(self, directory: Path, python: str) -> None:
        """Open the store.

        Args:
            directory: Holds one empty file for each tier that was passed.
            python: Version that projects are checked with.
        """
        self.directory = directory
        self.python = python
        directory.mkdir(parents=True, exist_ok=True)

    def name(self, tree: Path) -> str:
        """Return what stands for a project as it is; its tiers add their numbers."""
        parts = (self.python.encode(), _tools(), _tree(tree))
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def tiers(self, name: str) -> set[int]:
        """Return the tiers that were passed under this name."""
        return {int(path.suffix[1:]) for path in self.directory.glob(f"{name}.*")}

    def add(self, name: str, tier: int) -> None:
        """Remember that a tier was passed."""
        (self.directory / f"{name}.{tier}").touch()
