"""Results of earlier runs: what passed then, from the same files, is not repeated."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from tools.matrix.report import STAGES

ANSWERS = ".copier-answers.yml"
NEVER = "never passed"
# The modules that decide what passes; those that draw, measure or choose do not.
JUDGES = (
    *("python_patterns.imports", "tools.processes", "tools.servers"),
    *("tools.matrix.checks", "tools.matrix.environments", "tools.matrix.outcomes"),
    *("tools.matrix.result_cache", "tools.matrix.run"),
    *(f"tools.matrix.fork_server.{name}" for name in ("client", "proxy", "server")),
)
# Those that decide what a project is, and what the first stage says of its files.
RENDERERS = (
    *(
        "python_patterns.render",
        "python_patterns.questions",
        "tools.memoising_renderer",
    ),
    *("tools.template", "tools.matrix.lint"),
)


@cache
def _tools(*modules: str) -> str:
    """Hash the code of modules, and the versions of what they use."""
    versions = sorted(f"{one.name} {one.version}\n" for one in distributions())
    digest = hashlib.sha256("".join(versions).encode())
    for name in modules:
        source = find_spec(name)
        assert source and source.origin  # noqa: S101, PT018 - it is a module of ours
        digest.update(Path(source.origin).read_bytes())
    return digest.hexdigest()


@cache
def _template(family: Path) -> str:
    """Hash a template with its questions, with all that is in it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in family.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        name = path.relative_to(family).as_posix()
        digest.update(f"{name} {path.stat().st_mode:o} {content}\n".encode())
    return digest.hexdigest()


def _files(tree: Path) -> dict[str, str]:
    """Hash modes and content of a project's files, by name.

    Of what is only read by people the name is enough: no test and no tool opens it, but
    the one that builds the wheel, which takes whatever it says.
    """
    found = {}
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        is_prose = path.suffix == ".md"
        content = b"" if is_prose else path.read_bytes()
        if path.name == ANSWERS:
            # It also names the copy of the template, which is another in every run.
            lines = content.splitlines()
            content = b"\n".join(line for line in lines if not line.startswith(b"_"))
        mode = f"{path.stat().st_mode:o} ".encode()
        name = path.relative_to(tree).as_posix()
        found[name] = hashlib.sha256(mode + content).hexdigest()
    return found


@dataclass(frozen=True)
class State:
    """All that decides whether a project passes.

    Attributes:
        versions: Stands for the versions that it is checked with; see ``ResultCache``.
        tools: Hash of the code of the checks, and of the versions of what it uses.
        files: Hashes of its files, by name.
    """

    versions: str
    tools: str
    files: Mapping[str, str]

    @cached_property
    def name(self) -> str:
        """What stands for it."""
        text = json.dumps([self.versions, self.tools, self.files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def reasons(self, before: "State | None") -> list[str]:
        """Return what changed since the project last passed."""
        if before is None:
            return [NEVER]
        if before.tools != self.tools:
            return ["the checks or their tools changed"]
        names = before.files.keys() | self.files.keys()
        return sorted(
            name for name in names if before.files.get(name) != self.files.get(name)
        )


class ResultCache:
    """The stages that projects passed before, kept in a directory.

    A stage is known by everything that decides about it: the project's files, or the
    template and answers that it is rendered from, which
    also declare its environment (packages are taken as of one day), the version of
    Python, the code of the checks, and the versions of what that uses.
    """

    def __init__(self, directory: Path, versions: str) -> None:
        """Open the store.

        Args:
            directory: Holds one empty file for each stage that was passed, and one for
                each project as it was then.
            versions: Stands for the version of Python and the choice of libraries that
                projects are checked with.
        """
        self.directory = directory
        self.versions = versions
        directory.mkdir(parents=True, exist_ok=True)

    def state(self, tree: Path) -> State:
        """Read a project as it is."""
        return State(self.versions, _tools(*JUDGES), _files(tree))

    def source(
        self, template: Path, answers: Mapping[str, str], *, is_fresh: bool
    ) -> str:
        """Name a project by what it is rendered from: it need not be rendered.

        Args:
            template: A plain copy of the family, which must not change.
            answers: What the project is rendered with.
            is_fresh: Whether it is checked by new processes.
        """
        tools = _tools(*JUDGES, *RENDERERS)
        text = [self.versions, tools, _template(template), dict(answers), is_fresh]
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()

    def stages(self, name: str | None) -> set[int]:
        """Return the stages that were passed by what has this name.

        Args:
            name: That of a state, or of a source; what has none never passed.
        """
        return {
            stage for stage in STAGES if (self.directory / f"{name}.{stage}").exists()
        }

    def add(self, name: str, stage: int) -> None:
        """Remember that what has this name passed a stage."""
        (self.directory / f"{name}.{stage}").touch()

    def last(self, project: str) -> State | None:
        """Return the state in which a project passed last."""
        try:
            return State(**json.loads(self._project(project).read_text("utf-8")))
        except (FileNotFoundError, TypeError):  # as an older program kept it
            return None

    def set_last(self, project: str, state: State) -> None:
        """Remember the state in which a project passed."""
        self._project(project).write_text(json.dumps(asdict(state)), "utf-8")

    def _project(self, project: str) -> Path:
        return self.directory / f"{project}-{self.versions}.json"
