"""What growing does with every pair of answers: ``python -m tools.grow_pairs``.

For each ordered pair of values of one answer, a project of the first is grown into one
of the second: as it was generated, which must give the bytes of a fresh project, and
with the edits of ``edits``, each of which must be in the result or in a conflict. Where
there is none, the result must be as tidy as a fresh project, and its imports must find
what they name; ``--check`` takes it through its own checks and tests too. ``nox -s
grow`` prints the table.
"""
