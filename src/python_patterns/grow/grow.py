"""Growing a project, from its check to the last word about it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from python_patterns.answers import ANSWERS, read_answers
from python_patterns.git import Repository, Tree
from python_patterns.grow import land, project
from python_patterns.grow.changelog import read_between
from python_patterns.grow.ground import refuse_in_the_way
from python_patterns.grow.owned import Owned
from python_patterns.grow.plan import Merger, Plan
from python_patterns.grow.report import (
    Change,
    Origin,
    RecoveredError,
    RefusedError,
    Report,
    Wish,
)
from python_patterns.grow.review import Review
from python_patterns.grow.unfinished import Record
from python_patterns.grow.verify import Verifying, commands_of
from python_patterns.render import Rendered

UNVERIFIED = (
    "the checks were not run, because of the conflicts: resolve these, and run patterns"
    " continue --verify"
)


def grow(
    directory: Path,
    wish: Wish,
    scratch: Path,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Merge what the template gives for other answers, or at another version.

    Args:
        directory: The project.
        wish: What is asked.
        scratch: An empty directory, for what is only needed meanwhile.
        tell: Is told what is done at each moment.

    Raises:
        RefusedError: It cannot be done; nothing was changed.
        RecoveredError: There was something to take back first.
    """
    repository = Repository(directory, scratch, keeps=not wish.is_dry)
    project.check_git(repository)
    if wish.is_dry:
        land.refuse(repository)
    recover(repository)
    Record(repository).refuse()
    project.check(repository)
    answers = read_answers(directory)
    Owned(directory).paths()
    commit = answers.get("_commit")
    if not isinstance(commit, str):
        raise RefusedError(
            f"{ANSWERS} has no _commit: the project came from a template"
            " that is not in git, so its old version is not known"
        )
    if wish.source:
        project.check_source(answers, wish.source, scratch / "there")
    source = wish.source or answers["_src_path"]
    answers_there = {**answers, "_src_path": source}
    wanted = {**answers_there, **wish.answers}
    version = wish.version or (None if wish.newest else commit)
    # What is refused is refused before anything takes long.
    asked = project.render_answers(wanted, version, scratch / "asked")
    project.check_answers(wish.answers, asked)
    commands = commands_of(asked) if wish.is_verified else []
    if version is None:
        project.check_is_newer(commit, asked.answers.get("_commit"))
    tell(f"Rendering {commit} with the answers of before")
    old = project.render(answers_there, commit, scratch / "old")
    tell(f"Rendering {asked.answers.get('_commit')} with the new answers")
    new = project.render(wanted, version, scratch / "new")
    tell("Merging, and checking imports")
    own = repository.read_tree(f"HEAD:{repository.prefix}")
    merger = _merger(repository, old, new, own)
    plan = merger.plan()
    refuse_in_the_way(repository, own, plan.tree)
    before = Origin(answers["_src_path"], commit)
    after = Origin(source, str(new.answers.get("_commit")))
    changed = {
        name: (old.answers.get(name), new.answers.get(name))
        for name in {**old.answers, **new.answers}
        if not name.startswith("_") and old.answers.get(name) != new.answers.get(name)
    }
    review = Review(repository, own, merger, plan)
    files = review.changes(with_lines=wish.is_reviewed)
    report = Report(
        "update" if wish.newest else "grow",
        _status(plan, files),
        wish.is_dry,
        before=before,
        after=after,
        answers=changed,
        changelog=read_between(before, after, scratch) if wish.is_reviewed else (),
        files=files,
    )
    if commands and report.status == "conflicts":
        report = replace(report, message=UNVERIFIED)
    elif commands and report.status == "merged":
        tree = repository.graft(repository.write_tree(plan.tree))
        checks = Verifying(repository, commands, tell).run(tree)
        is_passed = all(check.is_passed for check in checks)
        status = report.status if is_passed else "failed"
        report = replace(report, checks=checks, status=status)
    if not wish.is_dry and report.status != "failed":
        tell("Writing")
        _land(repository, plan)
    return report


def _status(plan: Plan, files: Sequence[Change]) -> str:
    if plan.reasons:
        return "conflicts"
    is_merged = any(one.kind != "left_alone" for one in files)
    return "merged" if is_merged else "unchanged"


def recover(repository: Repository) -> None:
    """Take back what an earlier run wrote that was killed meanwhile.

    Raises:
        RecoveredError: There was something to take back.
    """
    left = land.recover(repository)
    if left is not None:
        Record(repository).forget()
        raise RecoveredError(
            "an earlier run was killed while it wrote; the project is back as it was"
            f"{', but for ' + ', '.join(left) if left else ''}: run this again"
        )


def _merger(repository: Repository, old: Rendered, new: Rendered, own: Tree) -> Merger:
    """Store the two renders, without what the template leaves to the project."""
    trees = []
    for rendered in (old, new):
        tree = repository.import_directory(rendered.directory)
        kept = {
            path: entry
            for path, entry in tree.items()
            if not (
                new.skips(Path(path)) and os.path.lexists(repository.project / path)
            )
        }
        trees.append(kept)
    # The answers are the template's to write.
    if ANSWERS in trees[0]:
        own = {**own, ANSWERS: trees[0][ANSWERS]}
    is_own = Owned(repository.project).matcher()
    return Merger(repository, trees[0], trees[1], own, new.directory, is_own)


def _land(repository: Repository, plan: Plan) -> None:
    before = repository.line("rev-parse", "HEAD^{tree}")
    after = repository.graft(repository.write_tree(plan.tree))
    if before == after and not plan.conflicts:
        return
    paths = {conflict.path for conflict in plan.conflicts}
    none = "0" * len(repository.empty)
    lines = [f"0 {none}\t{repository.prefix}{path}\0" for path in sorted(paths)]
    lines += [
        f"{one.entry.mode} {one.entry.id} {one.stage}\t{repository.prefix}{one.path}\0"
        for one in plan.conflicts
    ]
    landing = land.Landing(str(repository.project), before, after, "".join(lines))
    record = Record(repository)
    land.start(
        repository,
        landing,
        lambda: record.write(before, after, plan.conflicts, plan.moves),
    )
