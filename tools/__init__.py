"""Tools for the maintainers of the template family; not part of the distribution."""
