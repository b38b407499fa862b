"""Commands of READMEs work as they are pasted; those of servers are run elsewhere."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from test_guides import Shell

from tools import servers

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPTS: Mapping[str, Mapping[str, Any]] = {
    "small": {"purpose": "script"},
    "medium": {"purpose": "script", "size": "medium"},
    "small-cpu": {"purpose": "script", "workload": "cpu"},
}
SERVICES: Mapping[str, Mapping[str, Any]] = {
    "fastapi-small": {"size": "small"},
    "flask-small": {"size": "small", "framework": "flask", "async_team": False},
    "django-small": {"size": "small", "framework": "django", "database": "none"},
    "model": {"purpose": "ml", "size": "small"},
    "fastapi": {"database": "sqlite"},
    "flask": {"framework": "flask", "async_team": False, "database": "sqlite"},
    "django": {"purpose": "admin", "database": "sqlite"},
}
# What stays: the network and tools of the machine are no part of this.
LEFT_OUT = re.compile(r"uv (tool|sync)|--install-completion|python -m venv|pip install")
# It asks a server, as redis-cli does, with the address that it is given.
REDIS_CLI = """#!/usr/bin/env python
import sys
import redis
_, option, url, *words = sys.argv
assert option == "-u"
print(redis.Redis.from_url(url).execute_command(*words))
"""


def blocks(tree: Path, section: str) -> list[str]:
    """Return the lines of a section of the README, a block at a time."""
    text = (tree / "README.md").read_text("utf-8").partition(f"## {section}\n")[2]
    return BLOCK.findall(text.partition("\n## ")[0])


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_does_what_its_readme_says(tmp_path: Path, name: str) -> None:
    shell = Shell(SCRIPTS[name], tmp_path)
    lines = [line for block in blocks(shell.tree, "Use") for line in block.splitlines()]
    lines = [line for line in lines if not LEFT_OUT.search(line)]
    assert len(lines) > 1
    for line in lines:
        # Sites may be down, and files may be the same: that is exit code 1.
        shell(f"{line.partition('  #')[0]} || [ $? -eq 1 ]")


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize("worker", ["celery", "arq", "dramatiq"])
def test_the_queue_is_counted_at_the_address_of_the_settings(
    tmp_path: Path, worker: str, where: str
) -> None:
    with servers.redis_server() as port:
        url = f"redis://127.0.0.1:{port}/0"
        variables = {"BROKER_URL": url} if where == "environment" else {}
        answers = {"purpose": "worker", "worker": worker, "size": "medium"}
        shell = Shell(answers, tmp_path, **variables)
        if where == "file":
            (shell.tree / ".env").write_text(f"BROKER_URL={url}\n")
        program = tmp_path / "programs" / "redis-cli"
        program.write_text(REDIS_CLI)
        program.chmod(0o755)
        [block] = blocks(shell.tree, "Jobs")
        counting = block[block.index("BROKER_URL=") :]
        assert "redis-cli" in counting
        shell(
            "\n".join(
                line for line in counting.splitlines() if "uv run python -m" not in line
            )
        )


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
@pytest.mark.parametrize("name", SERVICES)
def test_requests_of_the_readme_are_answered(tmp_path: Path, name: str) -> None:
    shell = Shell(SERVICES[name], tmp_path)
    shell.start()
    block, *others = blocks(shell.tree, "Use")
    assert all("mailpit" in other for other in others)
    token = refresh_token = "TOKEN"  # noqa: S105 - as the README calls it
    with shell.project.server("/health/live") as (_, port):
        for line in block.splitlines():
            command = line.replace("curl ", "curl --silent --fail-with-body ")
            command = command.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            command = command.replace("REFRESH_TOKEN", refresh_token)
            printed = shell(command.replace("TOKEN", token))
            if '"access_token"' in printed:
                tokens = json.loads(printed)
                token, refresh_token = tokens["access_token"], tokens["refresh_token"]
        assert shell(f"curl --silent --fail --location http://127.0.0.1:{port}/")
