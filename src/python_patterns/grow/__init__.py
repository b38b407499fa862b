"""A project's later life: other answers, newer versions, and no edit lost.

The template is rendered twice, with the old answers at the old version and with the new
ones at the new version, and what was changed in the project since is merged into the
second (``plan``). Files that move take their edits along (``moves``), imports follow
(``imports``), definitions that go to another file do too (``splits``), and git merges
what is left (``git``). The project itself is touched in one last step (``land``), after
its own checks passed in a copy, if that is wanted (``verify``).

What became of it is one report (``review``, ``report``), which is written as text, JSON
or Markdown (``formats``). Until it is committed, it can be finished or taken back
(``unfinished``). Paths that the user keeps are left alone (``owned``).
"""
