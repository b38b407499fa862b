"""Random lives of projects: edits of every kind, and growing in between.

A life is told by its number alone, so that one that fails can be lived again. After
each step, all that was written has to be in the project or in a conflict. Each module
has to compile and to find what it imports, or be named, and data has to be what it was.
"""
