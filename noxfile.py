"""Sessions for maintainers: ``nox -s lint``, ``tests``, ``matrix -- [selection…]``."""

import os
import shutil

import nox

# Tests start many processes, each of which would compile all of its libraries anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests", "matrix", "live"]
if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
    nox.options.sessions.append("browser")

PYPROJECT = nox.project.load_toml("pyproject.toml")
DEV = nox.project.dependency_groups(PYPROJECT, "dev")
BROWSER = nox.project.dependency_groups(PYPROJECT, "browser")
# A live test waits for its processes half of the time.
LIVE_AT_ONCE = str((os.cpu_count() or 1) * 2)
GROWING = ("tests/live/test_growing.py", "tests/live/test_records.py")
WITH_BROWSER = tuple(f"tests/live/test_{name}.py" for name in ("site", "page", "docs"))


def run_module(session: nox.Session, module: str) -> None:
    """Run one of the maintainers' tools, with the arguments of the command line."""
    session.install("--editable", ".", *DEV)
    session.run("python", "-m", module, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the family's own tests."""
    session.install("--editable", ".", *DEV)
    options = ("--durations", "15", "--numprocesses", "auto")
    session.run("pytest", *options, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, types and declarations of the family's own code."""
    session.install("--editable", ".", *DEV, *BROWSER)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    # Users install src/ with these declarations; the tools use the group "dev".
    session.run("deptry", "src")


@nox.session
def matrix(session: nox.Session) -> None:
    """Render every combination, test a sample: ``--all``, or words that select."""
    run_module(session, "tools.matrix")


@nox.session
def mutants(session: nox.Session) -> None:
    """Plant faults in the template, and print which stage of the matrix caught each."""
    run_module(session, "tools.mutation")


@nox.session
def scores(session: nox.Session) -> None:
    """Measure which small faults the tests of generated projects catch."""
    run_module(session, "tools.scores")


@nox.session
def live(session: nox.Session) -> None:
    """Run projects on real servers, every seventh case of each test, or ``--all``."""
    session.install("--editable", ".", *DEV)
    others = [f"--ignore={file}" for file in (*GROWING, *WITH_BROWSER)]
    workers = ("-n", LIVE_AT_ONCE, "--dist", "worksteal")
    options = ("--showlocals", "--durations", "15", *workers, *others)
    session.run("pytest", *options, "tests/live", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Use the site, and the matrix's page, in a Chromium from PATH."""
    session.install("--editable", ".", *DEV, *BROWSER)
    session.run("pytest", *WITH_BROWSER, *session.posargs)


@nox.session
def grow(session: nox.Session) -> None:
    """Grow projects in steps, by every command of records, by every pair of answers."""
    session.install("--editable", ".", *DEV)
    session.run("pytest", "-n", "auto", *GROWING)
    session.run("python", "-m", "tools.grow_pairs", *session.posargs)
    session.run("python", "-m", "tools.grow_pairs", "--single")
    session.run("python", "-m", "tools.grow_large")
    session.run("python", "-m", "tools.gaps")


@nox.session
def lives(session: nox.Session) -> None:
    """Live random lives of projects: edits, growing, and nothing lost."""
    run_module(session, "tools.lives")


@nox.session
def history(session: nox.Session) -> None:
    """Update projects of older commits, with edits, and print what was lost."""
    run_module(session, "tools.history")


@nox.session
def bench(session: nox.Session) -> None:
    """Print what the template costs, as ratios; ``--quick`` for fewer rounds."""
    run_module(session, "tools.bench")


@nox.session
def crash(session: nox.Session) -> None:
    """Print what becomes of jobs when workers are killed and the broker restarts."""
    run_module(session, "tools.crash")


@nox.session
def cookiecutter(session: nox.Session) -> None:
    """Compile the variants into templates for cookiecutter, in dist/cookiecutter."""
    run_module(session, "tools.cookiecutter_family")
