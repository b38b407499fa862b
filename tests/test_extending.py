"""A new library and a new setting, as CONTRIBUTING.md says, on a copy of it all."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repositories import commit, git
from tools.combinations import find_combinations
from tools.memoising_renderer import MemoisingRenderer
from tools.records import decisions_of
from tools.template import FAMILY_ROOT

# A library that nobody has heard of: the code of RQ's, under another name.
ROW = """\
  'standin': {
    'name': 'Standin',
    'runs_in': 'a process per job',
    'best_for': 'trying this out',
    'why': 'Jobs outlive the process and are retried, by a library that stands in.',
    'instead': 'when a library is to stand in for another',
    'reserved': ['standin'],
    'requirements': ['redis>=8.1', 'rq>=3'],
    'start': 'python -m {}',
    'is_alive': '["CMD", "python", "-m", "{}", "--check"]',
    'schedule': 'python -m {}',
    'service': 'schedule',
    'queue_module': 'queue',
    'schedule_module': true,
  },
"""
SETTING = """\
    - group: true
      about: [The time zone of reports.]
      field: 'report_zone: str = "UTC"'
      example: UTC
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the repository, as it is in the working tree."""
    root = tmp_path / "copy"
    names = git(
        FAMILY_ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    )
    for name in filter(None, names.split("\0")):
        if (FAMILY_ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(FAMILY_ROOT / name, root / name)
    commit(root)
    return root


def run(root: Path, *arguments: str) -> str:
    """Run Python in the copy, on its own tools."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def insert(path: Path, before: str, text: str) -> None:
    source = path.read_text("utf-8")
    at = source.rindex(before)
    path.write_text(source[:at] + text + source[at:], "utf-8")


def changed(root: Path) -> set[str]:
    """Return the files and directories that differ from what was committed."""
    return {line[3:] for line in git(root, "status", "--porcelain").splitlines()}


def test_a_library_of_jobs_is_one_directory_and_one_row(copy: Path) -> None:
    workers = copy / "includes" / "workers"
    shutil.copytree(workers / "rq", workers / "standin")
    insert(copy / "computed" / "libraries.jinja", "} %}", ROW)
    assert changed(copy) == {"computed/libraries.jinja", "includes/workers/standin/"}

    # The question offers it where it offers RQ, and the documents list it.
    combinations = find_combinations(copy)
    of = {
        worker: [one for one in combinations if one.answers.get("worker") == worker]
        for worker in ("rq", "standin")
    }
    assert len(of["standin"]) == len(of["rq"]) > 100
    run(copy, "-m", "tools.documents")
    assert "standin" in (copy / "docs" / "combinations.md").read_text("utf-8")
    assert "  Standin  " in (copy / "docs" / "choosing.md").read_text("utf-8")
    run(copy, "-m", "pytest", "-q", "tests/test_documents.py", "-k", "not dialogue")
    run(
        copy, "-m", "pytest", "-q", "tests/test_template.py", "-k", "standin or library"
    )

    # Records tell why, others name it as an alternative, and no package takes its name.
    renderer = MemoisingRenderer(copy)
    chosen = renderer.answers({"worker": "standin"})
    assert "stands in" in str(decisions_of(renderer, chosen))
    other = renderer.answers({"worker": "rq"})
    assert "worker=standin" in str(decisions_of(renderer, other))
    files = renderer.files({"worker": "standin", "infrastructure": ["redis"]})
    jobs = files["app/queue.py"]
    assert jobs is not None
    assert b"from rq import" in jobs.content

    # The matrix, the live tests and the table of crashes take it from there.
    few = ("worker=standin", "size=medium", "database=none")
    run(copy, "-m", "tools.matrix", *few, "--stages", "1")
    script = "from tools.crash import WORKERS; import json; print(json.dumps(WORKERS))"
    assert "standin" in json.loads(run(copy, "-c", script))
    live = run(copy, "-m", "pytest", "tests/live", "--collect-only", "-q", "--all")
    assert live.count("[standin") >= live.count("[rq") > 0


def test_a_setting_is_one_place_for_services_and_sites(copy: Path) -> None:
    insert(copy / "computed" / "settings.yml", "    {% if has_predictions %}", SETTING)
    assert changed(copy) == {"computed/settings.yml"}

    renderer = MemoisingRenderer(copy)
    seen = set()
    for combination in find_combinations(copy)[::11]:
        files = renderer.files(combination.answers)
        contents = {
            name: file.content.decode()
            for name, file in files.items()
            if file and name.endswith((".py", ".env.example"))
        }
        classes = [text for text in contents.values() if "report_zone: str" in text]
        # A small command has options, and no settings.
        has_none = combination.answers["purpose"] == "script" and "main.py" in files
        assert len(classes) == (not has_none), combination.id
        seen.add(combination.answers["framework"])
        if ".env.example" in contents:
            assert (
                "# The time zone of reports.\n# REPORT_ZONE=UTC\n"
                in (contents[".env.example"])
            )
    assert seen == {"fastapi", "django", "flask", "none"}
    few = ("size=medium", "worker=none", "database=sqlite")
    run(copy, "-m", "tools.matrix", *few, "--stages", "1")
