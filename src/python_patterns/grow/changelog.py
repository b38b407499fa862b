"""What the template's changelog says between two versions."""

import re
from pathlib import Path

from python_patterns import git
from python_patterns.answers import clone_address
from python_patterns.git import GitError
from python_patterns.grow.report import Origin, Section

FILE = "CHANGELOG.md"


def sections(text: str) -> list[Section]:
    """Read a changelog: below each heading of a version, what it lists."""
    found = []
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, rest = part.partition("\n")
        # An entry is an item with the lines that belong to it, or a paragraph.
        blocks = re.split(r"\n(?=[-*] )|\n\s*\n(?!\s)", f"\n{rest}")
        entries = [re.sub(r"\A[-*] ", "", block.strip()) for block in blocks]
        found.append(Section(heading.strip(), list(filter(None, entries))))
    return found


def between(old: str, new: str) -> list[Section]:
    """Return what is in a changelog and was not in its older version.

    Args:
        old: The older version.
        new: The newer one.
    """
    known = {
        " ".join(entry.split())
        for section in sections(old)
        for entry in section.entries
    }
    found = (
        Section(
            section.version,
            [one for one in section.entries if " ".join(one.split()) not in known],
        )
        for section in sections(new)
    )
    return [section for section in found if section.entries]


def read_between(before: Origin, after: Origin, scratch: Path) -> list[Section]:
    """Return what the template's changelog says between two versions.

    Args:
        before: The template at the version of before.
        after: The template at the version to come.
        scratch: A directory to clone to, where the template is not on this machine.
    """
    if before.version == after.version:
        return []
    url = clone_address(after.source)
    directory = Path(url)
    try:
        if not directory.is_dir():
            directory = scratch / "changelog.git"
            git.run(
                "clone", "--quiet", "--bare", url, str(directory), directory=scratch
            )
        texts = [
            git.run("show", f"{one.version}:{FILE}", directory=directory).decode()
            for one in (before, after)
        ]
    except (GitError, OSError, ValueError):
        return []  # it has none
    return between(*texts)
