"""The matrix: every cell rendered, linted, typed, tested with its own tests, built.

``python -m tools.matrix --all`` or ``nox -s matrix -- --all``; a selection in
place of ``--all`` takes some cells. With neither, all are rendered and linted, and only
a fixed sample goes through the other tiers: any two answers that go together are in it.

Tier 1 renders and reads every file, and lints all projects with one call. Tier 2
checks imports and types, tier 3 runs the project's own tests, tier 4 builds and
imports the wheel: these three in an environment of the project's own declarations.
What passed before, from the same files, by the same tools, is not done again.
"""
