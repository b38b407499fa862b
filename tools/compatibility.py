"""What a release promises to the projects of the one before: ``docs/releasing.md``.

The names of answers and their values are an interface: they stand in the answers file
of every project ever generated.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from python_patterns.answers import RENAMED
from python_patterns.questions import load_config
from tools.combinations import Combination, find_combinations
from tools.template import render

# Sets of answers whose defaults are compared.
COMPARED: tuple[Mapping[str, str], ...] = ({}, {"size": "small"}, {"size": "large"})


def broken_promises(
    old: Path, new: Path, scratch: Path, renamed: Mapping[str, str] = RENAMED
) -> list[str]:
    """Find what would break projects of an older version.

    Args:
        old: A plain copy of the older version.
        new: A plain copy of the newer one.
        scratch: An empty directory.
        renamed: New names of questions by old ones.

    Returns:
        Sentences; none where all promises are kept.
    """
    # Each check needs what the one before it found.
    return (
        list(_gone(old, new, renamed))
        or list(_lost_combinations(old, new, renamed))
        or list(_other_defaults(old, new, scratch, renamed))
    )


def _asked(root: Path) -> set[str]:
    """Return the questions whose answers projects remember."""
    return {
        name
        for name, details in load_config(root).items()
        if not name.startswith("_")
        and not (isinstance(details, dict) and details.get("when") is False)
    }


def _gone(old: Path, new: Path, renamed: Mapping[str, str]) -> Iterator[str]:
    now = _asked(new)
    for name in sorted(_asked(old)):
        if renamed.get(name, name) not in now:
            yield f"the question {name} is gone, and RENAMED has no new name for it"


def _words(combination: Combination, names: Mapping[str, str]) -> dict[str, str]:
    return {names.get(name, name): value for name, value in combination.answers.items()}


def _lost_combinations(
    old: Path, new: Path, renamed: Mapping[str, str]
) -> Iterator[str]:
    """Find combinations that could be generated and cannot any more."""
    known = [combination.answers for combination in find_combinations(new)]
    for combination in find_combinations(old):
        wanted = _words(combination, renamed).items()
        if not any(wanted <= answers.items() for answers in known):
            yield f"{combination.id} could be generated, and cannot any more"


def _other_defaults(
    old: Path, new: Path, scratch: Path, renamed: Mapping[str, str]
) -> Iterator[str]:
    for number, answers in enumerate(COMPARED):
        before, after = (
            yaml.safe_load(
                (
                    render(answers, scratch / f"{side}{number}", template=root)
                    / ".copier-answers.yml"
                ).read_text(encoding="utf-8")
            )
            for side, root in (("old", old), ("new", new))
        )
        for name, value in before.items():
            now = after.get(renamed.get(name, name))
            if not name.startswith("_") and now != value:
                yield f"{name} is {now!r} where it was {value!r}, with {dict(answers)}"
