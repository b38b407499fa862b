"""Updates over real history: ``python -m tools.history``.

Projects of older commits of this template, with edits, are updated to the last commit:
by ``patterns update``, and by ``copier update`` in a copy. Printed is how many of the
lines that were written are gone without a conflict, and how many files are in one.
"""
