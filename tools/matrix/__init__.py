"""The matrix: every combination rendered, linted, typed, tested and built.

``python -m tools.matrix --all`` or ``nox -s matrix -- --all``; a selection in place of
``--all`` takes some combinations. With neither, all are rendered and linted, and only a
fixed sample goes through the other stages; any two answers that go together are in it.

Stage 1 renders and reads every file, and lints all projects with one call. Stage 2
checks declarations, types and import contracts, stage 3 runs the project's own tests,
stage 4 builds and imports the wheel: these three in an environment of the project's own
declarations. A stage that passed before, from the same files, by the same tools, is not
repeated.
"""
