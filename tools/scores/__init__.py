"""Mutation scores of generated projects; see ``__main__``."""
