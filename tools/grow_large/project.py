"""A project with many modules and files."""

import json
from pathlib import Path

MODULES = 300
FILES = 3000
# Files that growing does not read, and those that it has to search for names.
OTHERS = ("fixtures/{}.json", "static/{}.svg", "docs/{}.md", "deploy/{}.yaml")


def _module(number: int) -> str:
    """Write a module of some 150 lines, which imports three others."""
    others = range(max(0, number - 3), number)
    return "".join(
        [
            f'"""Part {number}."""\n\nimport json\nfrom collections import abc\n\n',
            "from app.errors import AppError\nfrom app.settings import get_settings\n",
            *(f"from app.{_place(one)} import run_{one}_0\n" for one in others),
            f"\nPARTS: abc.Sequence[str] = ['app.{_place(number)}.run_{number}_0']\n",
            *(_function(number, one) for one in range(12)),
        ]
    )


def _place(number: int) -> str:
    layer = ("services", "repositories", "own", "own.deeper")[number % 4]
    return f"{layer}.part_{number}"


def _function(number: int, one: int) -> str:
    called = f"run_{number - 1}_0" if number else "abs"
    return f'''

def run_{number}_{one}(value: int, names: abc.Sequence[str] = ()) -> int:
    """Do one thing of many."""
    if value > {one}:
        raise AppError(f"{{value}} is more than {{names}}")
    total = sum(len(name) for name in names)
    settings = get_settings()
    for name in json.loads("[]"):
        total += {called}(len(name)) if settings else value
    return total
'''


def enlarge(project: Path, modules: int = MODULES, files: int = FILES) -> None:
    """Add modules and other files to a medium project by layer, in ``app``.

    Args:
        project: Its directory.
        modules: How many modules.
        files: How many files the project has in the end.
    """
    for number in range(modules):
        path = project / "app" / f"{_place(number).replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(_module(number), encoding="utf-8")
    # Someone works on the template's files too.
    for path in sorted((project / "app/services").glob("*s.py")):
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\n\nOWN = 1\n", encoding="utf-8")
    there = sum(path.is_file() for path in project.rglob("*"))
    rows = [{"path": "app/services/users.py", "row": row} for row in range(40)]
    for number in range(files - there):
        path = project / OTHERS[number % len(OTHERS)].format(number)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([number, rows]), encoding="utf-8")
