"""Tools of the template family: cells, fast rendering, and the matrix of checks."""
