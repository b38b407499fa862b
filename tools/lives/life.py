"""One life: edits and growing in turn, and what has to hold after each step."""

import os
import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random

from python_patterns.git import LINK
from python_patterns.grow.closing import Code
from python_patterns.grow.links import leads
from python_patterns.grow.plan import Plan
from tools.grow_pairs.pairs import Workbench
from tools.lives.edits import Writer
from tools.template import render

# What a project is asked, from which each step takes one.
SERVICE = {
    "size": ("small", "medium", "large"),
    "layout": ("layer", "feature"),
    "worker": ("none", "celery", "rq", "dramatiq"),
    "database": ("sqlite", "postgresql", "none"),
    "concurrency": ("async", "sync"),
}
KINDS = {
    "fastapi": SERVICE,
    "flask": {key: val for key, val in SERVICE.items() if key != "concurrency"},
    "django": {key: val for key, val in SERVICE.items() if key != "database"},
}
GROWTHS = 4
MOST_EDITS = 6


@cache
def _bench(scratch: Path) -> Workbench:
    return Workbench(scratch / f"process-{os.getpid()}")


@cache
def _fresh(scratch: Path, answers: tuple[tuple[str, str], ...]) -> Path | None:
    """Render a project; nothing where these answers do not go together."""
    name = "-".join(value for _, value in answers)
    directory = scratch / f"process-{os.getpid()}" / "renders" / name
    try:
        return render(dict(answers), directory)
    except ValueError:
        return None


def _faults(writer: Writer, bench: Workbench, plan: Plan, own: Code) -> list[str]:
    """Return what a step broke and did not name."""
    contents = {p: bench.repository.content(e.id) for p, e in plan.tree.items()}
    sides = [bench.repository.content(one.entry.id) for one in plan.conflicts]
    whole = b"\n".join([*contents.values(), *sides])
    found = [f"lost {word}" for word in writer.words if word.encode() not in whole]
    found += [
        f"other data in {path}"
        for path, content in writer.data.items()
        if content not in contents.values()
    ]
    python = {
        path: content
        for path, content in contents.items()
        if path.endswith(".py") and plan.tree[path].mode != LINK
    }
    code = Code(python)
    tops = code.tops | own.tops
    known = {one.about for path in own.files for one in own.faults(path, own.tops)}
    for path in code.files.keys() - plan.reasons.keys():
        faults = code.faults(path, tops)
        found += [f"{path} {one.reason}" for one in faults if one.about not in known]
    for path, entry in plan.tree.items():
        says = bench.repository.content(entry.id).decode(errors="replace")
        is_lost = entry.mode == LINK and not leads(path, says, plan.tree)
        if is_lost and path not in plan.reasons:
            found.append(f"{path} leads nowhere")
    return found


def _write(bench: Workbench, plan: Plan, root: Path) -> None:
    shutil.rmtree(root)
    for path, entry in plan.tree.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        content = bench.repository.content(entry.id)
        if entry.mode == LINK:
            file.symlink_to(os.fsdecode(content))
        else:
            file.write_bytes(content)
            file.chmod(int(entry.mode[-3:], 8))


def live(number: int, scratch: Path) -> tuple[Counter[str], list[str]]:
    """Live a life.

    Args:
        number: Which one.
        scratch: Directory for what is only needed meanwhile.

    Returns:
        How often what happened, and what went wrong.
    """
    # Not a secret: the number tells the life.
    random = Random(number)  # noqa: S311
    counted: Counter[str] = Counter(lives=1)
    bench = _bench(scratch)
    framework = random.choice(sorted(KINDS))
    asked = KINDS[framework]
    answers = {"framework": framework, "size": "medium", "layout": "layer"}
    root = scratch / f"process-{os.getpid()}" / "life"
    shutil.rmtree(root, ignore_errors=True)
    old = _fresh(scratch, tuple(answers.items()))
    if old is None:
        raise ValueError(answers)
    shutil.copytree(old, root)
    writer = Writer(root, random)
    for name, values in asked.items():
        for value in values:
            other = _fresh(scratch, tuple(sorted({**answers, name: value}.items())))
            if other:
                files = (path for path in other.rglob("*") if path.is_file())
                writer.elsewhere += sorted(str(one.relative_to(other)) for one in files)
    for _ in range(GROWTHS):
        for _ in range(random.randint(1, MOST_EDITS)):
            writer.edit()
            counted["edits"] += 1
        writer.forget()
        name = random.choice(sorted(asked))
        step = {**answers, name: random.choice(asked[name])}
        new = _fresh(scratch, tuple(sorted(step.items())))
        if new is None or step == answers:
            continue
        counted["steps"] += 1
        writer.done.append(f"grow {name}={step[name]} ({framework})")
        own = Code({path: (root / path).read_bytes() for path in writer.paths()})
        plan = bench.grow(old, new, root)
        faults = _faults(writer, bench, plan, own)
        if faults:
            return counted, [f"life {number}", *writer.done, *faults]
        counted["with something to look at"] += bool(plan.reasons)
        if not plan.reasons:
            _write(bench, plan, root)
            answers, old = step, new
    return counted, []
