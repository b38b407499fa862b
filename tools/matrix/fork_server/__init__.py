"""Run programs of an environment as forks of a Python that has its libraries loaded.

Starting Python and importing libraries is most of the time that checking one project
takes, and it is the same for all projects of an environment. What is shared, and why
that is safe:

- Modules of libraries, as they are right after their import, in a server that runs no
  code of any project (``server``). Modules that need settings cannot be imported and
  are left out. Each program is a fork, and what it changes stays in it.
- Nothing else: variables, directory, search path and streams are those that a new
  process would have had.

Forking hides what happens while a library is imported, and that a project does not
import what it uses. So one project of each environment is imported with its tests by a
new process, a sample of projects that contains every answer is tested by new processes
only, and a failure in a fork has to be confirmed by a new process.

``client`` starts a server and sends it programs; ``proxy`` stands for a program that a
project's test starts.
"""
