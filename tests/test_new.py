"""``patterns new``: what copier gives, by a dialogue with a way back."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from python_patterns import cli
from repositories import commit
from tools.template import FAMILY_ROOT, copy_template
from tools.terminal import DOWN, ENTER, INTERRUPT, Terminal

VARIANTS = sorted((FAMILY_ROOT / "variants").glob("*.yml"))
COPIER = Path(sys.executable).with_name("copier")
BACK = "\x1b[Z"


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(FAMILY_ROOT, tmp_path_factory.mktemp("family") / "family")


def files(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_it_writes_what_copier_writes(
    family: Path, tmp_path: Path, variant: Path
) -> None:
    named = {"project_name": "Café “Köln”", "description": "It's fast & small"}
    data = [word for item in named.items() for word in ("--data", "=".join(item))]
    given = ["--defaults", *data, "--data-file", str(variant)]
    source = ["--source", str(family)]
    assert cli.main(["new", str(tmp_path / "new"), *source, *given]) == 0
    copied = [str(COPIER), "copy", "--quiet", *given, str(family), "copied"]
    subprocess.run(copied, cwd=tmp_path, check=True, capture_output=True)

    assert files(tmp_path / "new") == files(tmp_path / "copied")


def new(family: Path, directory: Path, environment: Mapping[str, str]) -> Terminal:
    command = (sys.executable, "-m", "python_patterns", "new", str(directory))
    return Terminal([*command, "--source", str(family)], environment)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give a home with an author's name in it."""
    config = tmp_path / "config"
    config.write_text("[user]\nname = Grace Hopper\nemail = grace@example.com\n")
    return {"GIT_CONFIG_GLOBAL": str(config), "PYTHONPATH": str(FAMILY_ROOT / "src")}


def test_a_dialogue_has_a_way_back_a_summary_and_next_steps(
    family: Path, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    directory = tmp_path / "bike-shop"
    with new(family, directory, environment) as terminal:
        for prompt, keys in (
            ("What are you building?", ENTER),
            ("What will it spend most of its time on?", BACK),
            ("What are you building?", 2 * DOWN + ENTER),
            ("What runs already", ENTER),
            ("Which work is left to do after a response?", ENTER),
            ("How large is the project?", BACK),
            ("Which work is left to do after a response?", 2 * DOWN + ENTER),
            ("How large is the project?", ENTER),
            ("What do you want to choose yourself?", ENTER),
            ("Name of the project", ENTER),
            ("Name of the Python package", "json" + ENTER),
            ('"json" is reserved', 4 * "\x7f" + "bikes" + ENTER),
            ("Description of the project", "Bikes for all" + ENTER),
            ("Grace Hopper", ENTER),
            ("grace@example.com", ENTER),
        ):
            terminal.wait_for(prompt)
            assert not directory.exists()
            terminal.press(keys)
        summary = terminal.wait_for("Write the project to")
        assert "  background      must" in summary
        assert "  worker          celery" in summary
        terminal.press(ENTER)
        seen = terminal.wait_for("See README.md for the rest")
        assert terminal.wait() == 0

    assert any("git init -b main" in line for line in seen)
    assert not any("TEMPLATE" in line for line in seen)
    answers = yaml.safe_load((directory / ".copier-answers.yml").read_text("utf-8"))
    said = {
        "purpose": "site",
        "worker": "celery",
        "project_name": "Bike Shop",
        "project_slug": "bikes",
        "description": "Bikes for all",
        "author_name": "Grace Hopper",
        "author_email": "grace@example.com",
    }
    assert said.items() <= answers.items()


def test_a_repository_gives_its_newest_version_or_the_one_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    commit(family, tag="v1.0.0")
    size = family / "questions" / "size.yml"
    size.write_text(size.read_text("utf-8").replace("How large is", "How big is"))
    commit(family, tag="v1.1.0")
    (family / "notes.md").touch()
    commit(family, tag="v2.0.0rc1")
    words = ["new", "--defaults", "--source", str(family)]
    for version, ref in (("v1.1.0", []), ("v1.0.0", ["--ref", "v1.0.0"])):
        assert cli.main([*words, *ref, str(tmp_path / version)]) == 0
        answers = (tmp_path / version / ".copier-answers.yml").read_text("utf-8")
        assert yaml.safe_load(answers)["_commit"] == version
        assert yaml.safe_load(answers)["_src_path"] == str(family)
    assert str(family) in capsys.readouterr().out
    assert cli.main([*words, "--ref", "v9", str(tmp_path / "v9")]) == cli.REFUSED
    assert "cannot be read at v9" in capsys.readouterr().err


@pytest.mark.parametrize("tag", ["v1.0.0", None])
def test_from_a_repository_it_writes_what_copier_writes(
    tmp_path: Path, tag: str | None
) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    commit(family, tag=tag)
    words = ["--defaults", "--source", str(family), str(tmp_path / "new")]
    assert cli.main(["new", *words]) == 0
    copied = [str(COPIER), "copy", "--quiet", "--defaults", str(family), "copied"]
    subprocess.run(copied, cwd=tmp_path, check=True, capture_output=True)

    assert files(tmp_path / "new") == files(tmp_path / "copied")


@pytest.mark.filterwarnings("ignore::copier.errors.DirtyLocalWarning")
def test_changes_of_a_local_template_need_not_be_committed(tmp_path: Path) -> None:
    family = copy_template(FAMILY_ROOT, tmp_path / "family")
    commit(family)
    (family / "template" / "notes.md").write_text("Draft.\n")
    words = ["--defaults", "--source", str(family), str(tmp_path / "new")]
    assert cli.main(["new", *words]) == 0

    assert (tmp_path / "new" / "notes.md").read_text() == "Draft.\n"


def test_several_choices_are_words_with_commas(family: Path, tmp_path: Path) -> None:
    words = ["new", "--defaults", "--source", str(family), str(tmp_path / "new")]
    data = ["--data", "infrastructure=redis, postgresql", "--data", "purpose=admin"]
    assert cli.main([*words, *data]) == 0
    answers = (tmp_path / "new" / ".copier-answers.yml").read_text("utf-8")
    assert yaml.safe_load(answers)["infrastructure"] == ["redis", "postgresql"]


def test_a_dialogue_that_is_stopped_writes_nothing(
    family: Path, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    with new(family, tmp_path / "shop", environment) as terminal:
        terminal.wait_for("What are you building?")
        terminal.press(INTERRUPT)
        terminal.wait_for("stopped; nothing was written")
        assert terminal.wait() == 130
    assert not (tmp_path / "shop").exists()


def explain(
    family: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str]:
    code = cli.main(["new", "--explain", "--source", str(family), *words])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_recommendations_are_explained(
    family: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ("--data", "purpose=site", "--data", "infrastructure=redis,postgresql")
    code, text = explain(family, capsys, *runs)
    assert code == 0
    assert "framework: Django. A site needs" in text
    assert "worker: Celery. Its jobs outlive" in text
    _, text = explain(family, capsys, *runs, "--json")
    rows: dict[str, Any] = json.loads(text)
    assert rows["concurrency"]["value"] == "sync"
    assert rows["database"]["value"] == "postgresql"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--data", "sise=large"), "there is no question 'sise': did you mean size"),
        (("--data", "nonsense=1"), "there is no question 'nonsense'"),
        (("--data", "size"), "'size' is not of the form answer=value"),
        (("--data", "size=lrge"), "size cannot be 'lrge': take small, medium, large"),
        (
            ("--data", "purpose=site", "--data", "framework=flask"),
            "framework cannot be 'flask': Django has pages and forms; for Flask: purpo",
        ),
        (("--data", "project_slug=json"), '"json" is reserved by Python'),
        (("--data-file", "missing.yml"), "missing.yml cannot be read"),
        (("--ref", "v99"), "is not in git, so it has no v99"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(
    family: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
) -> None:
    code, text = explain(family, capsys, *words)

    assert code == cli.REFUSED
    assert sentence in text
    assert text.count("\n") == 1
    assert text.endswith("; nothing was written.\n")


def test_a_directory_that_is_not_empty_is_refused(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").write_text("mine")
    words = ["new", "--defaults", "--source", str(family)]
    assert cli.main([*words, str(tmp_path)]) == cli.REFUSED
    assert "is not empty: name a new or an empty directory" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "notes")]) == cli.REFUSED
    assert "is a file: name a directory" in capsys.readouterr().err
    assert cli.main(words) == cli.REFUSED
    assert "name the directory of the project" in capsys.readouterr().err
    assert cli.main([*words, "--json", str(tmp_path / "new")]) == cli.REFUSED
    assert "give both" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_without_a_terminal_nothing_is_asked(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["new", "--source", str(family), str(tmp_path / "new")]
    assert cli.main(words) == cli.REFUSED
    assert "questions need a terminal: give --defaults" in capsys.readouterr().err
