"""Compose files respect .env, the machine they run on, and what READMEs promise."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.live import settings
from tools.template import render

SHAPES: dict[str, dict[str, str]] = {
    "api": {"framework": "fastapi", "database": "postgresql", "worker": "celery"},
    "sqlite": {"framework": "flask", "database": "sqlite", "worker": "rq"},
    "django": {"framework": "django", "database": "postgresql", "worker": "dramatiq"},
    "site": {"purpose": "site", "database": "postgresql", "worker": "none"},
    "worker": {"purpose": "worker", "framework": "none", "worker": "arq"},
}
GRACE_SECONDS = 20


@pytest.fixture(params=SHAPES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return render({"size": "medium", **SHAPES[request.param]}, tmp_path / "project")


def compose(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        (project / "compose.yaml").read_text("utf-8")
    )
    return found


def test_settings_in_the_environment_file_are_used(project: Path) -> None:
    names = settings(project)
    for service in compose(project)["services"].values():
        for name, value in service.get("environment", {}).items():
            if name in names:
                assert value.startswith(f"${{{name}:-")
                assert value.endswith("}")


def test_published_ports_can_be_chosen(project: Path) -> None:
    for name, service in compose(project)["services"].items():
        if name == "caddy":  # only on a host of its own, by its profile
            assert service["ports"] == ["80:80", "443:443"]
            assert service["profiles"] == ["caddy"]
            continue
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:${")


def test_commands_of_the_guide_name_services_that_there_are(project: Path) -> None:
    services = compose(project)["services"]
    guide = (project / "docs" / "one-host.md").read_text("utf-8")
    stopped = re.findall(r"^docker compose stop (.*)$", guide, re.MULTILINE)
    assert len(stopped) == ("migrate" in services)
    for names in stopped:
        # All that writes to the database, while a backup is restored.
        writing = {
            name
            for name, service in services.items()
            if service.get("image") == services["migrate"]["image"]
        }
        assert set(names.split()) == writing - {"migrate"}
    if "caddy" in services:
        assert "--profile caddy" in guide
        assert services["caddy"]["command"][-1].partition(":")[0] in services


def test_servers_have_the_time_that_the_readme_promises(project: Path) -> None:
    services = compose(project)["services"]
    for name in services.keys() & {"api", "site"}:
        grace = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace > GRACE_SECONDS
        assert f"for at most {GRACE_SECONDS} seconds" in " ".join(
            (project / "README.md").read_text("utf-8").split()
        )


def test_variables_in_front_of_a_command_of_the_readme_arrive(project: Path) -> None:
    readme = (project / "README.md").read_text("utf-8")
    given = {
        word.partition("=")[0]
        for line in re.findall(r"^(\w+=.*) docker compose ", readme, re.MULTILINE)
        for word in line.split()
    }
    assert given == ({"EMAIL_URL"} & settings(project).keys())
    for name, service in compose(project)["services"].items():
        if name in {"api", "site", "worker"}:
            assert given <= service["environment"].keys()
