"""Two versions of the template, rendered once for each set of answers.

The first is this checkout; the second renames a module, brings files, changes the
docstrings of many and the default of a setting.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from python_patterns import render as renderer
from python_patterns.answers import ANSWERS
from python_patterns.grow.report import RefusedError
from python_patterns.render import Rendered
from tools.template import FAMILY_ROOT, copy_template

FIRST, SECOND = "v1.0.0", "v2.0.0"
EVERY = 3


def _replace(path: Path, pattern: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = re.sub(pattern, new, text, count=1, flags=re.MULTILINE)
    if changed == text:
        raise ValueError(f"{path} has no {pattern}")
    path.write_text(changed, encoding="utf-8")


def second_version(directory: Path) -> Path:
    """Write what the template will be in its second version."""
    root = copy_template(FAMILY_ROOT, directory)
    package = root / "computed/paths/package.jinja"
    _replace(package, r"(logs: .*)logs$", r"\1logging")
    extra = '"""More."""\n\nEXTRA = True\n'
    (root / "template/{{ shared }}/extra.py").write_text(extra, encoding="utf-8")
    _replace(next(root.glob("template/README.md.jinja")), r"\Z", "\nMore.\n")
    for path in sorted(root.glob("template/**/*.py.jinja"))[::EVERY]:
        text = path.read_text(encoding="utf-8")
        pattern = r'^("""[^"{}\n]*)\."""$'
        path.write_text(
            re.sub(pattern, r'\1!"""', text, count=1, flags=re.MULTILINE),
            encoding="utf-8",
        )
    return root


class Renders:
    """Renders of both versions, each made once.

    Attributes:
        scratch: Where they are kept.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._sources = {
            FIRST: copy_template(FAMILY_ROOT, scratch / FIRST),
            SECOND: second_version(scratch / SECOND),
        }
        self._known: dict[object, Rendered | str] = {}

    def fresh(self, answers: Mapping[str, Any], version: str | None) -> Rendered:
        """Render a project, which is not to be changed.

        Raises:
            RefusedError: The answers do not go together.
        """
        data = {key: val for key, val in answers.items() if not key.startswith("_")}
        key = (version, *sorted((key, str(val)) for key, val in data.items()))
        if key not in self._known:
            self._known[key] = self._render(data, version or SECOND)
        found = self._known[key]
        if isinstance(found, str):
            raise RefusedError(found)
        return found

    def _render(self, data: Mapping[str, Any], version: str) -> Rendered | str:
        directory = self.scratch / "fresh" / str(len(self._known))
        try:
            rendered = renderer.render(str(self._sources[version]), data, directory)
        except ValueError as error:
            return str(error)
        with (directory / ANSWERS).open("a", encoding="utf-8") as file:
            file.write(f"_commit: {version}\n")
        return rendered

    def render(
        self,
        answers: Mapping[str, Any],
        version: str | None,
        destination: Path,
        *,
        exclude: Sequence[str] = (),
    ) -> Rendered:
        """Render as ``python_patterns.grow.project.render`` does."""
        found = self.fresh(answers, version)
        if exclude:
            return found
        shutil.copytree(found.directory, destination, symlinks=True)
        return Rendered(destination, found.skips, found.asks, found.values)
