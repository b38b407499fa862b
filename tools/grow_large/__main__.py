"""``python -m tools.grow_large``: how long a large project takes to grow."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from python_patterns import git, render
from tools.grow_large.project import enlarge
from tools.template import FAMILY_ROOT, copy_template

ANSWERS = {"framework": "fastapi", "size": "medium", "layout": "layer"}
STEPS = ("size=large layout=feature", "worker=celery")


def commit(directory: Path) -> None:
    """Commit all of a directory, in a repository of its own."""
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "Start")):
        git.run(*words, directory=directory)


def main() -> int:
    """Grow a large project, and print what it took."""
    parser = argparse.ArgumentParser(description="Grow a large project, and time it.")
    parser.add_argument("step", nargs="*", default=STEPS, help="answers, in one word")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="patterns-large-") as name:
        template = copy_template(FAMILY_ROOT, Path(name).resolve() / "template")
        project = template.with_name("project")
        commit(template)
        render.render(str(template), ANSWERS, project, version="HEAD")
        enlarge(project)
        commit(project)
        for step in options.step:
            words = ("grow", *step.split(), "--project", str(project))
            started = time.monotonic()
            code = subprocess.run(
                (sys.executable, "-m", "python_patterns", *words),
                stdout=subprocess.DEVNULL,
                check=False,
                env={**os.environ, "XDG_CACHE_HOME": str(template.parent)},
            ).returncode
            seconds = time.monotonic() - started
            used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            print(f"{step}: exit {code}, {seconds:.1f} s, {used} MB", flush=True)
            git.run("add", "-A", directory=project)
            git.run("commit", "-q", "-m", step, directory=project)
    return 0


if __name__ == "__main__":
    sys.exit(main())
