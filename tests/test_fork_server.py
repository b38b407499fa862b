"""What is forked behaves as what is started, and reaches nothing but itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tools import processes
from tools.matrix import checks
from tools.matrix.environments import Environment
from tools.matrix.fork_server import client
from tools.matrix.fork_server.client import ForkServer
from tools.template import set_times_by_content

VARIABLES = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
SEEN = (
    "import json, os, sys; print(json.dumps([sys.argv, sys.path[:2], os.getcwd(), "
    "sorted(os.environ), __name__, sys.flags.optimize]))"
)


@pytest.fixture(scope="module")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    log = tmp_path_factory.mktemp("fork-server") / "log"
    python = Path(sys.executable)
    modules = ["json", "pytest", "mypy.main", "packaging.version"]
    with client.start(python, modules, VARIABLES, log) as found:
        yield found


def run(
    forking: ForkServer,
    place: Path,
    arguments: Sequence[str],
    variables: Mapping[str, str] = VARIABLES,
    seconds: float = 60,
) -> processes.Outcome:
    return forking.run(
        arguments,
        directory=place,
        variables=variables,
        log=place / "log",
        seconds=seconds,
    )


@pytest.mark.parametrize("how", ["module", "script", "line"])
def test_a_fork_sees_what_a_new_process_sees(
    forking: ForkServer, tmp_path: Path, how: str
) -> None:
    (tmp_path / "seen.py").write_text(SEEN, encoding="utf-8")
    (tmp_path / "more").mkdir()
    arguments = {
        "module": ["-m", "seen", "a"],
        "script": ["seen.py", "a"],
        "line": ["-c", SEEN, "a"],
    }[how]
    variables = {**VARIABLES, "PYTHONPATH": str(tmp_path / "more"), "MINE": "1"}
    forked = run(forking, tmp_path, arguments, variables)
    new = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert forked.code == 0
    assert json.loads(forked.output) == json.loads(new.stdout)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("1 / 0", 1),
        ("import os; os._exit(5)", 5),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_a_fork_ends_as_a_new_process_does(
    forking: ForkServer, tmp_path: Path, code: str, status: int
) -> None:
    assert run(forking, tmp_path, ["-c", code]).code == status


def test_what_is_registered_for_the_end_is_done(
    forking: ForkServer, tmp_path: Path
) -> None:
    code = "import atexit; atexit.register(print, 'in the end')"
    assert run(forking, tmp_path, ["-c", code]).last_line == "in the end"


def test_a_fork_leaves_nothing_to_the_next(forking: ForkServer, tmp_path: Path) -> None:
    change = (
        "import builtins, json, os, sys; os.environ['LEFT'] = '1'; json.LEFT = 1;"
        "builtins.LEFT = 1; sys.path.append('left'); os.chdir('/'); os.umask(0o777)"
    )
    look = (
        "import builtins, json, os, sys; print('LEFT' in os.environ,"
        "hasattr(json, 'LEFT'), hasattr(builtins, 'LEFT'), 'left' in sys.path,"
        "os.getcwd(), os.umask(0o22))"
    )
    assert run(forking, tmp_path, ["-c", change]).code == 0
    expected = f"False False False False {tmp_path} {0o22}"
    assert run(forking, tmp_path, ["-c", look]).last_line == expected


def test_a_fork_that_hangs_is_killed_with_what_it_started(
    forking: ForkServer, tmp_path: Path
) -> None:
    child = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    start = time.monotonic()
    outcome = run(forking, tmp_path, ["-c", code], seconds=5)
    assert outcome.code == -signal.SIGKILL
    assert time.monotonic() - start < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(outcome.output), 0)
    assert run(forking, tmp_path, ["-c", "print(1)"]).output == "1\n"


CHILD = """
import signal, subprocess, sys
code = "import sys; print(sys.stdin.read(), 'json' in sys.modules); sys.exit(4)"
done = subprocess.run(
    [sys.executable, "-c", code], input="given", capture_output=True, text=True,
)
print(done.returncode, done.stdout.split())
waiting = subprocess.Popen(
    [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
    stdout=subprocess.PIPE,
)
waiting.stdout.readline()
waiting.terminate()
print(waiting.wait(20) == -signal.SIGTERM)
handling = subprocess.Popen(
    [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
)
handling.stdout.readline()
handling.send_signal(signal.SIGINT)
print("KeyboardInterrupt" in handling.communicate(timeout=120)[1])
killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
killed.kill()
print(killed.wait(20))
"""


def test_what_a_fork_starts_obeys_it(forking: ForkServer, tmp_path: Path) -> None:
    outcome = run(forking, tmp_path, ["-c", CHILD])
    lines = outcome.output.splitlines()
    assert lines == ["4 ['given', 'True']", "True", "True", "-9"], outcome.output


def test_a_parent_leaves_out_what_cannot_be_imported(tmp_path: Path) -> None:
    modules = ["json", "no_such_module_as_this"]
    log = tmp_path / "log"
    with client.start(Path(sys.executable), modules, VARIABLES, log) as found:
        assert run(found, tmp_path, ["-c", "print(1)"]).output == "1\n"


def environment(forking: ForkServer | None) -> Environment:
    return Environment(Path(sys.prefix), {}, fork_server=forking)


TESTS = {
    "passes": ("assert True", ""),
    "fails": ("assert 1 == 2", "assert 1 == 2"),
    "ends the process": ("import os\n    os._exit(0)", "the tests died with 0"),
    "skips": ("import pytest\n    pytest.skip('why')", "why"),
}


@pytest.mark.parametrize("name", TESTS)
def test_tests_that_are_forked_are_counted(
    forking: ForkServer, tmp_path: Path, name: str
) -> None:
    body, message = TESTS[name]
    text = f"def test_one() -> None:\n    {body}\n"
    (tmp_path / "test_one.py").write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    place, log = tmp_path / "outcomes", tmp_path / "log"
    errors, used = checks.own_test_errors(
        tmp_path, environment(forking), {}, place, log
    )
    assert used > 0
    assert [message in error for error in errors] == ([True] if message else [])


def test_types_that_are_forked_are_checked(forking: ForkServer, tmp_path: Path) -> None:
    """Of the same size and time, by one cache, from one parent."""
    slot = tmp_path / "slot"
    slot.mkdir()
    found = []
    for name, text in {"right": "x: int = 1234\n", "wrong": 'x: int = "34"\n'}.items():
        tree = tmp_path / name
        tree.mkdir()
        (tree / "main.py").write_text(text, encoding="utf-8")
        config = '[tool.mypy]\nfiles = ["main.py"]\n'
        (tree / "pyproject.toml").write_text(config, encoding="utf-8")
        set_times_by_content(tree)
        errors, _ = checks.type_errors(
            tree, environment(forking), slot, tmp_path / "log"
        )
        found.append(errors)
    assert found[0] == []
    assert len(found[1]) == 1


def test_a_warning_at_import_is_seen_where_libraries_are_loaded(tmp_path: Path) -> None:
    """A new process imports what a fork finds imported."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\npythonpath = .\n", encoding="utf-8"
    )
    (tmp_path / "library.py").write_text(
        "import warnings\nwarnings.warn('old', DeprecationWarning)\n", encoding="utf-8"
    )
    test = "import library\n\n\ndef test_one() -> None:\n    assert library\n"
    (tmp_path / "test_one.py").write_text(test, encoding="utf-8")
    variables = {**VARIABLES, "PYTHONPATH": str(tmp_path)}
    log = tmp_path / "log"
    with client.start(Path(sys.executable), ["library"], variables, log) as forking:
        place = tmp_path / "outcomes"
        assert (
            checks.own_test_errors(tmp_path, environment(forking), {}, place, log)[0]
            == []
        )
    errors, _ = checks.loading_errors(tmp_path, environment(None), log)
    assert errors == ["tests: E   DeprecationWarning: old"]
