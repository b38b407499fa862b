"""A large project, to see what growing takes: ``python -m tools.grow_large``.

It has 300 modules of its own, which import each other and the template's, and 3,000
files. Printed are seconds and the memory of the largest process.
"""
