"""The family for cookiecutter gives and refuses what copier gives and refuses."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import copier
import pytest
import yaml
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_cookies.plugin import Cookies

from python_patterns.questions import libraries_of, load_config
from repositories import commit, git
from test_questions import REFUSED_NAMES
from tools import cookiecutter_family
from tools.memoising_renderer import renderer_of
from tools.template import (
    FAMILY_ROOT,
    check_out,
    copy_template,
    family_template,
    render,
)

# Cookiecutter removes what a hook refused with an argument that Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*onerror:DeprecationWarning")

VARIANTS = [variant.name for variant in cookiecutter_family.find_variants(FAMILY_ROOT)]
IDENTITIES: list[dict[str, str]] = [
    {"project_name": "My Shop"},
    {
        "project_name": "Say \"hello\" \\ and 'bye'",
        "description": 'Backslashes: C:\\new, \\" and \\\\, at the end: \\',
        "author_name": 'Ada "Countess" Lovelace',
        "author_email": "a.b+c_d%e-f@sub.example-1.org",
    },
    {
        "project_name": "Größenwähler für Köln",
        "description": "Ünïcödé: 北京 и Москва, e\u0301 and \u00a0.",
        "author_name": "José Ñandú",
        "project_slug": "tests_after",
    },
    {
        "project_name": "\N{ROCKET} Rocket \N{WOMAN}\u200d\N{PERSONAL COMPUTER}",
        "description": "Starts \N{GRINNING FACE} at once.",
        "author_name": "\N{PILE OF POO}",
        "project_slug": "x",
    },
    {
        "project_name": "R&D <b>bold</b> &amp; &",
        "description": "<script>alert('&lt;b&gt;')</script> & co",
        "author_name": "&<b>",
        "project_slug": "a_name_that_has_exactly_forty_letters_ab",
    },
    {
        "project_name": "{curly} %s %(x)s $HOME `id` #! }} %} yes: no - * | >",
        "description": "'''\"\"\" {x!r} ${y} {",
        "author_name": "null",
        "project_slug": "true",
    },
]

type Files = dict[str, tuple[int, bytes]]


def repository(directory: Path) -> Path:
    """Make a repository of the family as it is in the working tree."""
    copy_template(FAMILY_ROOT, directory)
    commit(directory, tag="v1.0.0")
    return directory


def compile_from(
    root: Path, output: Path, *variants: str | cookiecutter_family.Variant
) -> Path:
    known = {
        variant.name: variant for variant in cookiecutter_family.find_variants(root)
    }
    chosen = [known[each] if isinstance(each, str) else each for each in variants]
    origin = cookiecutter_family.find_origin(root, None, "HEAD")
    with tempfile.TemporaryDirectory() as directory:
        template = check_out(root, "HEAD", Path(directory))
        for _ in cookiecutter_family.compile_family(template, chosen, origin, output):
            pass
    return output


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("family") / "family")


@pytest.fixture(scope="session")
def small(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family of two variants that are compiled soon."""
    output = tmp_path_factory.mktemp("small") / "family"
    return compile_from(root, output, "api-small", "script-cpu")


def files(project: Path) -> Files:
    return {
        path.relative_to(project).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in project.rglob("*")
        if path.is_file()
        and path.name != ".copier-answers.yml"
        and ".git" not in path.relative_to(project).parts
    }


def recorded(project: Path) -> dict[str, Any]:
    text = (project / ".copier-answers.yml").read_text("utf-8")
    answers: dict[str, Any] = yaml.safe_load(text)
    return answers


def asked(project: Path) -> dict[str, Any]:
    return {key: val for key, val in recorded(project).items() if key[0] != "_"}


def run(
    *command: str | Path,
    home: Path,
    typed: str = "",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run a module of this environment as somebody whose home is there."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=home,
        env={**os.environ, "HOME": str(home), **variables},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


# --- The same projects ----------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_gives_what_copier_gives(
    root: Path, tmp_path: Path, cookies: Cookies, variant: str
) -> None:
    template = compile_from(root, tmp_path / "family", variant) / variant

    for number, identity in enumerate(IDENTITIES):
        baked = cookies.bake(identity, template=str(template))
        copied = tmp_path / f"copied{number}"
        renderer_of(family_template()).render({"preset": variant, **identity}, copied)
        assert baked.exception is None, identity
        assert files(baked.project_path) == files(copied), identity
        assert asked(baked.project_path) == asked(copied), identity


@pytest.mark.parametrize("identity", IDENTITIES, ids=range(len(IDENTITIES)))
def test_the_memoising_renderer_is_copier_for_every_identity(
    tmp_path: Path, identity: dict[str, str]
) -> None:
    answers = {"preset": "api-large", **identity}
    renderer_of(family_template()).render(answers, tmp_path / "memoised")

    copied = render(answers, tmp_path / "copied")

    assert files(tmp_path / "memoised") == files(copied)
    assert recorded(tmp_path / "memoised") == recorded(copied)


def test_the_answers_file_is_that_of_copier(
    root: Path, small: Path, tmp_path: Path, cookies: Cookies
) -> None:
    baked = cookies.bake(IDENTITIES[0], template=str(small / "api-small"))
    copier.run_copy(
        str(root),
        tmp_path / "copied",
        data={"preset": "api-small", **IDENTITIES[0]},
        defaults=True,
        quiet=True,
    )

    assert recorded(baked.project_path)["_commit"] == "v1.0.0"
    assert recorded(baked.project_path) == recorded(tmp_path / "copied")


LARGE = [
    {"preset": "api-large"},
    {"framework": "django", "size": "large", "layout": "layer", "worker": "celery"},
    {"framework": "flask", "size": "large", "layout": "feature", "worker": "rq"},
]
# Beside random ones: what sorts next to the other names in imports.
SLUGS = st.one_of(
    st.from_regex(r"\A[a-z]([a-z0-9_]{0,38}[a-z0-9])?\Z"),
    st.sampled_from(
        ["t", "te", "test_a", "tests0", "tests_1", "testt", "z_" * 19 + "z"]
    ),
)
RESERVED = set(
    (FAMILY_ROOT / "includes" / "validators" / "reserved_names.jinja")
    .read_text("utf-8")
    .split()
) | {
    name
    for library in libraries_of(FAMILY_ROOT).values()
    for name in library["reserved"]
}


@pytest.fixture(scope="module", params=LARGE, ids=str)
def large(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[cookiecutter_family.Variant, Path]:
    """A project whose package is named by the slug, and its template."""
    variant = cookiecutter_family.Variant(
        "large", "Large", "If it is large", request.param
    )
    output = tmp_path_factory.mktemp("large") / "family"
    return variant, compile_from(root, output, variant) / variant.name


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(slug=SLUGS.filter(lambda slug: slug not in RESERVED))
def test_any_slug_gives_what_copier_gives(
    large: tuple[cookiecutter_family.Variant, Path], slug: str
) -> None:
    variant, template = large
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        config = directory / "config.yml"
        config.write_text(f"replay_dir: {directory / 'replay'}")
        baked = cookiecutter(
            str(template),
            no_input=True,
            extra_context={"project_slug": slug},
            output_dir=str(directory / "baked"),
            config_file=str(config),
            accept_hooks=False,
        )
        answers = {**variant.answers, "project_slug": slug}
        copied = render(answers, directory / "copied")

        assert files(Path(baked)) == files(copied)


def test_modes_and_braces_come_through(tmp_path: Path, cookies: Cookies) -> None:
    changed = copy_template(FAMILY_ROOT, tmp_path / "changed")
    scripts = {
        "named.sh.jinja": "echo {{ project_slug }} {% raw %}{{ a }} {% b %} ${{ c }}"
        " {# d #} {{{ }}}{% endraw %} {{ '{' ~ project_name ~ '}' }}\n",
        "plain.sh": "echo {{ a }} {% b %} ${{ c }} {# d #}\n",
    }
    for name, text in scripts.items():
        (changed / "template" / name).write_text(text, "utf-8")
        (changed / "template" / name).chmod(0o755)
    commit(changed)

    template = compile_from(changed, tmp_path / "family", "api-small") / "api-small"
    baked = cookies.bake({"project_name": "Shop"}, template=str(template))
    copied = render(
        {"preset": "api-small", "project_name": "Shop"},
        tmp_path / "copied",
        template=changed,
    )

    assert baked.exception is None
    assert files(baked.project_path) == files(copied)
    for name in ("named.sh", "plain.sh"):
        assert (baked.project_path / name).stat().st_mode & 0o111
    plain = (baked.project_path / "plain.sh").read_text("utf-8")
    assert plain == scripts["plain.sh"]
    named = (baked.project_path / "named.sh").read_text("utf-8")
    assert named == "echo shop {{ a }} {% b %} ${{ c }} {# d #} {{{ }}} {Shop}\n"


# --- The same refusals ----------------------------------------------------------------


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED_NAMES)
def test_both_doors_refuse_a_name_with_the_same_sentence(  # noqa: PLR0913, PLR0917 - of fixtures
    small: Path,
    tmp_path: Path,
    cookies: Cookies,
    capfd: pytest.CaptureFixture[str],
    name: str,
    value: str,
    sentence: str,
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        render({name: value}, tmp_path / "copied")
    capfd.readouterr()

    baked = cookies.bake({name: value}, template=str(small / "api-small"))

    said = capfd.readouterr().err.strip()
    assert isinstance(baked.exception, FailedHookException)
    assert "\n" not in said
    assert str(refusal.value).strip().endswith(f": {said}")
    assert sentence in said
    assert not [path for path in tmp_path.rglob("*") if path.name == "pyproject.toml"]
    assert not list((tmp_path / "cookies" / "bake00").iterdir())


def test_what_is_typed_is_refused_with_the_same_sentence(
    small: Path, tmp_path: Path
) -> None:
    typed = "1\nMy Shop\n\n\n{{ broken\n\n"
    ended = run("cookiecutter", small, home=tmp_path, typed=typed)

    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        "The author contains a template tag. Remove {{, {% and {#."
    )
    assert not (tmp_path / "my_shop").exists()


# --- Cookiecutter's other ways, and cruft ---------------------------------------------


def test_prompts_defaults_and_menu_are_those_of_the_questions(
    small: Path, tmp_path: Path
) -> None:
    typed = '2\nSay 9 "hi" \\\n\n\nÅsa\n\n'
    ended = run("cookiecutter", small, home=tmp_path, typed=typed)
    answers = {"project_name": 'Say 9 "hi" \\', "author_name": "Åsa"}
    copied = render({"preset": "script-cpu", **answers}, tmp_path / "copied")

    shown = " ".join(ended.stdout.split())  # it is wrapped
    assert ended.returncode == 0, shown
    assert files(tmp_path / "say_9_hi") == files(copied)
    for name in ("project_name", "project_slug", "author_email"):
        assert load_config(FAMILY_ROOT)[name]["help"] in shown
    menu = json.loads((small / "cookiecutter.json").read_text("utf-8"))["templates"]
    for variant in cookiecutter_family.select_variants(
        FAMILY_ROOT, list(menu), every=False
    ):
        assert f"{variant.title} ({variant.description})" in shown


def test_combinations_are_selected_beside_variants() -> None:
    words = ["site", "framework=flask", "size=large", "worker=rq", "database=none"]
    site, *combinations = cookiecutter_family.select_variants(
        FAMILY_ROOT, words, every=False
    )

    assert site.answers == {"preset": "site"}
    assert {combination.answers["layout"] for combination in combinations} == {
        "layer",
        "feature",
    }
    for combination in combinations:
        assert combination.answers["framework"] == "flask"
        assert "worker=rq" in combination.description


def test_every_variant_says_what_it_is_and_when_to_choose_it() -> None:
    stems = {path.stem for path in (FAMILY_ROOT / "variants").glob("*.yml")}

    assert stems == set(VARIANTS)
    for variant in cookiecutter_family.find_variants(FAMILY_ROOT):
        assert variant.title.startswith(f"{variant.name}: ")
        assert variant.description != variant.title


def test_replays_and_configurations_give_the_same(small: Path, tmp_path: Path) -> None:
    identity = IDENTITIES[1]
    copied = render({"preset": "api-small", **identity}, tmp_path / "copied")
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump({"default_context": identity}), "utf-8")
    template = ("cookiecutter", small, "--directory", "api-small")
    ways = {
        "config": ("--no-input", "--config-file", config),
        "replay": ("--replay",),
        "words": ("--no-input", *map("=".join, identity.items())),
    }

    for way, words in ways.items():
        run(*template, *words, "--output-dir", way, home=tmp_path).check_returncode()
        (project,) = (tmp_path / way).iterdir()
        assert files(project) == files(copied), way


@pytest.mark.parametrize("identity", IDENTITIES[:2])
def test_the_next_steps_are_those_that_copier_prints(
    root: Path, small: Path, tmp_path: Path, identity: dict[str, str]
) -> None:
    (tmp_path / "scratch").mkdir()
    words = ["--no-input", *map("=".join, identity.items())]
    command: tuple[str | Path, ...]
    command = ("cookiecutter", small, "--directory", "api-small", *words)
    variables = {"TMPDIR": str(tmp_path / "scratch")}  # what is below it is no project
    made = run(*command, home=tmp_path, variables=variables)
    said = made.stdout.strip()
    copied = tmp_path / "copied"
    data = [f"--data={name}={value}" for name, value in identity.items()]
    words = ["--defaults", "--data=preset=api-small", *data]
    printed = run("copier", "copy", *words, root, copied, home=tmp_path).stderr

    assert said.startswith(f"Created {identity['project_name']} in {tmp_path}")
    assert f"uvx --from {root} patterns grow" in said
    [main] = [path for path in tmp_path.glob("*/main.py") if path.parent != copied]
    assert said.replace(str(main.parent), str(copied)) in printed


def test_cruft_creates_checks_and_updates(
    root: Path, small: Path, tmp_path: Path
) -> None:
    changed = shutil.copytree(root, tmp_path / "root")
    compiled = shutil.copytree(small, tmp_path / "family")
    commit(compiled)
    words = ("--directory", "api-small", "--no-input")
    created = run("cruft", "create", compiled, *words, home=tmp_path)
    assert created.returncode == 0, created.stderr
    project = tmp_path / "my_service"
    commit(project)
    assert run("cruft", "check", home=project).returncode == 0

    main = (project / "main.py").read_text("utf-8")
    (project / "main.py").write_text(f"{main}# Mine.\n", "utf-8")
    commit(project)
    change_readme(changed, "v1.1.0")
    compile_from(changed, compiled, "api-small")
    commit(compiled)
    assert run("cruft", "check", home=project).returncode == 1
    updated = run("cruft", "update", "--skip-apply-ask", home=project)

    assert updated.returncode == 0, updated.stdout
    assert NEWS in (project / "README.md").read_text("utf-8")
    assert (project / "main.py").read_text("utf-8").endswith("# Mine.\n")
    assert recorded(project)["_commit"] == "v1.1.0"


# --- Updates --------------------------------------------------------------------------

NEWS = "News of the second version."


def change_readme(root: Path, tag: str) -> None:
    with (root / "template" / "README.md.jinja").open("a", encoding="utf-8") as stream:
        stream.write(f"\n{NEWS}\n")
    commit(root, tag=tag)


def test_copier_updates_what_cookiecutter_made(
    root: Path, tmp_path: Path, cookies: Cookies
) -> None:
    changed = shutil.copytree(root, tmp_path / "root")
    template = compile_from(changed, tmp_path / "family", "api-large") / "api-large"
    identity = IDENTITIES[1] | {"project_slug": "shop"}
    project = cookies.bake(identity, template=str(template)).project_path
    commit(project)
    before = files(project)
    edited = ["pyproject.toml", "src/shop/main.py", "tests/conftest.py"]
    for name in edited:
        with (project / name).open("a", encoding="utf-8") as stream:
            stream.write("\n# My own line.\n")
    (project / "src/shop/own.py").write_text("OWN = 1\n", "utf-8")
    commit(project)
    change_readme(changed, "v2.0.0")

    copier.run_update(str(project), defaults=True, overwrite=True, quiet=True)

    after = files(project)
    assert git(project, "ls-files", "--unmerged") == ""
    assert NEWS in after["README.md"][1].decode()
    for name in edited:
        assert after[name][1].endswith(b"\n# My own line.\n")
    assert after["src/shop/own.py"][1] == b"OWN = 1\n"
    unchanged = set(before) - {*edited, "README.md"}
    assert {name: after[name] for name in unchanged} == {
        name: before[name] for name in unchanged
    }
    answers = recorded(project)
    assert answers["_commit"] == "v2.0.0"
    assert answers.items() >= identity.items()


def test_generating_is_not_slower_than_copier(
    root: Path, small: Path, tmp_path: Path
) -> None:
    def seconds(*command: str | Path) -> float:
        start = time.perf_counter()
        run(*command, home=tmp_path).check_returncode()
        return time.perf_counter() - start

    data = ("--defaults", "--data", "preset=api-small")
    baked, copied = zip(
        *(
            (
                seconds("cookiecutter", small, "--no-input", "-o", f"baked{number}"),
                seconds("copier", "copy", *data, root, f"copied{number}"),
            )
            for number in range(2)
        ),
        strict=True,
    )

    assert min(baked) < min(copied)


# --- What the compiler refuses --------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("template/x.txt.jinja", "{{ project_name|title }}", "FORMS does not have"),
        ("template/x.txt.jinja", "{{ project_slug[1:] }}", "or a part"),
        (
            "template/x.txt.jinja",
            "{{ project_slug|length }}",
            "depends on the length",
        ),
        ("template/x.txt.jinja", "{{ ['m', project_slug]|sort }}", "order or a part"),
        (
            "includes/validators/check_slug.jinja",
            "{{ 1|regex_search }}",
            "question project_slug",
        ),
        (
            "includes/validators/check_email.jinja",
            "Never.",
            "rule of author_email refuses all",
        ),
    ],
)
def test_what_cookiecutter_could_not_give_is_not_compiled(
    tmp_path: Path, file: str, text: str, sentence: str
) -> None:
    changed = copy_template(FAMILY_ROOT, tmp_path / "changed")
    (changed / file).write_text(text, "utf-8")
    commit(changed)

    with pytest.raises(cookiecutter_family.FamilyError, match=sentence):
        compile_from(changed, tmp_path / "family", "api-small")

    assert not (tmp_path / "family").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nonsense"], "There is no combination 'nonsense'"),
        (["--ref", "v9"], "git describe failed"),
        (["--output", "template"], "template holds something else"),
    ],
)
def test_a_mistake_of_the_command_line_gets_one_sentence(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.setattr(cookiecutter_family, "FAMILY_ROOT", root)
    monkeypatch.chdir(root)

    assert cookiecutter_family.main(words) == 1

    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


# --- The branch -----------------------------------------------------------------------


def test_releases_are_commits_of_one_branch(
    root: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{variable}_NAME", "T")
        monkeypatch.setenv(f"GIT_{variable}_EMAIL", "t@example.com")
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--bare", str(root), str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    (clone / ".ci").mkdir()
    shutil.copy(FAMILY_ROOT / ".ci" / "publish", clone / ".ci")
    shutil.copytree(small, clone / "dist" / "cookiecutter")

    subprocess.run([clone / ".ci" / "publish"], check=True, capture_output=True)
    (clone / "dist" / "cookiecutter" / "README.md").write_text("Second.\n", "utf-8")
    subprocess.run([clone / ".ci" / "publish"], check=True, capture_output=True)

    log = git(bare, "log", "--format=%s", "cookiecutter")
    assert log.splitlines() == ["Compile v1.0.0", "Compile v1.0.0"]
    options = ("--checkout", "cookiecutter", "--directory", "api-small", "--no-input")
    run("cookiecutter", f"file://{bare}", *options, home=tmp_path).check_returncode()
    copied = render({"preset": "api-small"}, tmp_path / "copied")
    assert files(tmp_path / "my_service") == files(copied)
