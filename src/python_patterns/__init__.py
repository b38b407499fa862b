"""The command ``patterns``: change a project's answers, update it, list its gaps."""
