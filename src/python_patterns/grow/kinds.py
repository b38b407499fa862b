"""Kinds of files: what names modules and paths, and what holds data."""

from pathlib import PurePosixPath

# Files that tell programs what to run: they name modules of the project.
CONFIGURATION = frozenset(
    {".cfg", ".conf", ".env", ".ini", ".service", ".sh", ".toml", ".yaml", ".yml"}
)
COMMANDS = frozenset({"caddyfile", "dockerfile", "justfile", "makefile", "procfile"})
DOCUMENTS = frozenset({".md", ".rst", ".txt"})
# Directories with data, whatever its form.
DATA = frozenset(
    {"cassettes", "data", "dumps", "fixtures", "samples", "snapshots", "testdata"}
)
# Files of lines that stand for themselves.
LISTS = frozenset({".dockerignore", ".env.example", ".gitattributes", ".gitignore"})


def is_list(path: str) -> bool:
    """Return whether each line of a file stands for itself."""
    name = PurePosixPath(path).name
    return name in LISTS or (name.startswith("requirements") and name.endswith(".txt"))


def is_configuration(path: str) -> bool:
    """Return whether a file of the user's is configuration, by its name."""
    file = PurePosixPath(path)
    if DATA & {part.strip("_").lower() for part in file.parent.parts}:
        return False
    first = file.name.lower().partition(".")[0]
    return (
        file.suffix in CONFIGURATION
        or first in COMMANDS
        or file.name.startswith((".env", "Dockerfile"))
        or file.parts[0] in {".github", ".gitlab"}
    )


def is_document(path: str) -> bool:
    """Return whether a file is for people to read."""
    return PurePosixPath(path).suffix in DOCUMENTS
