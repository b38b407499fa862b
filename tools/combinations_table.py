"""The matrix of what combines with what: ``python -m tools.combinations_table``.

It writes docs/combinations.md from ``copier.yml``; a test fails when that file is not
current.
"""

from collections.abc import Sequence

from tools.combinations import Combination, find_combinations
from tools.template import FAMILY_ROOT

PATH = FAMILY_ROOT / "docs" / "combinations.md"
HEAD = """\
# What combines with what

`python -m tools.combinations_table` writes this from `copier.yml`, the only place
that knows. There are {count} combinations.

A number says in how many of them two answers go together; a dot, that they never do.
Copier greys such a choice out where it is made, and says why. What is not asked in a
combination, such as the layout of one file, is not counted there.
"""


def _values(combinations: Sequence[Combination]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}  # sets that keep the order
    for combination in combinations:
        for name, value in combination.answers.items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def _together(combinations: Sequence[Combination], first: str, second: str) -> str:
    pairs = [
        {f"{name}={value}" for name, value in combination.answers.items()}
        for combination in combinations
    ]
    return str(sum({first, second} <= pair for pair in pairs) or "·")


def _table(
    combinations: Sequence[Combination],
    rows: str,
    columns: str,
    values: dict[str, list[str]],
) -> list[str]:
    lines = [
        f"| {rows} | {' | '.join(values[columns])} |",
        f"|---|{'---|' * len(values[columns])}",
    ]
    for row in values[rows]:
        counts = [
            _together(combinations, f"{rows}={row}", f"{columns}={column}")
            for column in values[columns]
        ]
        lines.append(f"| {row} | {' | '.join(counts)} |")
    return lines


def describe(combinations: Sequence[Combination]) -> str:
    """Return the document.

    Args:
        combinations: All combinations of the family.
    """
    values = _values(combinations)
    lines = [HEAD.format(count=len(combinations))]
    for columns in ("framework", "worker", "purpose"):
        lines.append(f"## By {columns}\n")
        for rows in values:
            if rows != columns:
                lines += [*_table(combinations, rows, columns, values), ""]
    return "\n".join(lines)


def main() -> None:
    """Write the document."""
    PATH.write_text(describe(find_combinations(FAMILY_ROOT)), "utf-8")


if __name__ == "__main__":
    main()
