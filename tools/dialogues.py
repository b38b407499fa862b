"""What copier asks in a terminal, for three purposes."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.template import copy_template
from tools.terminal import DOWN, ENTER, INTERRUPT, SPACE, Terminal

COPIER = Path(sys.executable).with_name("copier")
# Enter accepts what is recommended; these keys are pressed at other questions. What is
# asked first is known by the first words of its help.
DIALOGUES: Mapping[str, Sequence[tuple[str, str]]] = {
    "An API that sends e-mails, and whose worker is chosen": (
        ("What are you building?", ENTER),
        ("What will it spend most of its time on?", ENTER),
        ("Is the team experienced with async and await?", ENTER),
        ("What runs already", ENTER),
        ("Which work is left to do after a response?", 2 * DOWN + ENTER),
        ("How large is the project?", ENTER),
        ("Which framework do you prefer?", ENTER),
        ("What do you want to choose yourself?", 4 * DOWN + SPACE + ENTER),
        ("What runs background jobs?", INTERRUPT),
    ),
    "A website": (
        ("What are you building?", 2 * DOWN + ENTER),
        ("What runs already", DOWN + SPACE + ENTER),
        ("Which work is left to do after a response?", ENTER),
        ("How large is the project?", ENTER),
        ("What do you want to choose yourself?", INTERRUPT),
    ),
    "A script": (
        ("What are you building?", 5 * DOWN + ENTER),
        ("What will it spend most of its time on?", ENTER),
        ("How large is the project?", ENTER),
        ("What do you want to choose yourself?", INTERRUPT),
    ),
}


@dataclass(frozen=True)
class Moment:
    """One question, as it is shown before it is answered.

    Attributes:
        title: Of the dialogue.
        prompt: The first words of the question.
        lines: What the terminal shows.
    """

    title: str
    prompt: str
    lines: Sequence[str]


def moments(root: Path, scratch: Path) -> Iterator[Moment]:
    """Hold the dialogues, and stop each before a project is made.

    Args:
        root: Directory of the template family.
        scratch: An empty directory.

    Yields:
        Each question of each dialogue.
    """
    family = copy_template(root, scratch / "family")
    command = [str(COPIER), "copy", str(family), str(scratch / "project")]
    for title, steps in DIALOGUES.items():
        with Terminal(command, {"PYTHONWARNINGS": "ignore"}) as terminal:
            for prompt, keys in steps:
                yield Moment(title, prompt, terminal.wait_for(prompt))
                terminal.press(keys)
            terminal.wait()


def document(shown: Sequence[Moment]) -> str:
    """Return the dialogues as Markdown.

    Args:
        shown: All their questions; the last of a dialogue is shown with its choices.
    """
    parts = []
    for title, steps in DIALOGUES.items():
        (last,) = (
            one for one in shown if (one.title, one.prompt) == (title, steps[-1][0])
        )
        text = "\n".join(last.lines).strip("\n")
        parts.append(f"### {title}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)
