"""Applications without a template, for the benchmark to compare with."""
