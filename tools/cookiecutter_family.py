"""The same projects for cookiecutter: its templates, compiled from the one template.

``python -m tools.cookiecutter_family`` or ``nox -s cookiecutter`` compiles each file of
``variants/``; words select some of them, or combinations of the matrix.

A project is rendered once with names that are like no other text. Where such a sentinel
comes out, as it was or quoted or escaped, cookiecutter's expression for it takes its
place. What depends on a name in another way, the order and the wrapping of imports,
stays the macro that it is in the template. Then each compiled template has to give what
copier gives for the shortest names, byte by byte.
``docs/cookiecutter.md`` says more.
"""

import argparse
import glob
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import jinja2.meta
import yaml
from rich.console import Console

from python_patterns import git
from python_patterns.git import GitError
from python_patterns.questions import load_config, load_questions, settle
from tools.combinations import SelectionError, find_combinations, select
from tools.template import FAMILY_ROOT, TEMPLATE_PARTS, check_out, render

OUTPUT = FAMILY_ROOT / "dist" / "cookiecutter"
SETTINGS = "cookiecutter.json"
PROJECT = "{{cookiecutter.__directory}}"
# Cookiecutter makes the directory before the hook can refuse its name.
DIRECTORY = """\
{% set slug = cookiecutter.project_slug %}\
{{ slug if slug.isidentifier() and slug|length <= 40 else 'refused' }}"""

# What the template does to a name before it writes it, and how cookiecutter is told to.
# It has no filter that quotes as JSON does without escaping every letter beyond ASCII.
# But control characters, which the rules of names refuse, are all that JSON escapes
# beside the backslash and its quotation mark.
AS_JSON = "|to_json(ensure_ascii=False)"
QUOTED = r"""|replace("\\", "\\\\")|replace('"', '\\"')"""
# As includes/literal.jinja quotes text.
AS_PYTHON = "|as_python"
SINGLE = r"""|replace("\\", "\\\\")|replace("'", "\\'")"""
FORMS = {
    "": "{{ cookiecutter.NAME }}",
    "|e": "{{ cookiecutter.NAME|e }}",
    "|replace('_', '-')": "{{ cookiecutter.NAME|replace('_', '-') }}",
    "|upper": "{{ cookiecutter.NAME|upper }}",
    AS_JSON: f'"{{{{ cookiecutter.NAME{QUOTED} }}}}"',
    AS_PYTHON: (
        "{% if cookiecutter.NAME.count('\"') > cookiecutter.NAME.count(\"'\") %}"
        f"'{{{{ cookiecutter.NAME{SINGLE} }}}}'"
        "{% else %}"
        f'"{{{{ cookiecutter.NAME{QUOTED} }}}}"'
        # A tag at the end of a line would take the newline with it.
        "{% endif %}{{ '' }}"
    ),
}

# What is tried for a name until its rule accepts it: free text, an address, a slug. The
# sentinels are about as long as names can be, so that the shortest ones prove the rest.
SENTINELS = (
    f'{{0}} "a\\b" c\' <d> & e_f {"x" * 33} \N{GRINNING FACE}.',
    f"{{0}}_{'a' * 59}@b-{'c' * 61}.test",
    f"{{0}}_{'a' * 35}",
)
SHORTEST = ("A", "a@b.c", "a")

IMPORTS = "includes/imports.jinja"
# Stand for tags until the braces of the project's own are escaped.
TAGS = {"\ue000": "{%", "\ue001": "%}"}
RECORDED_IMPORTS = """\
{% from 'includes/rendered_imports.jinja' import imports as rendered with context %}
{% macro imports(this="") %}
{% set lines = caller().split('\\n')|map('trim')|select|join('\\n') %}
{% if package.startswith('zqx') and package in lines %}
\ue000 call imports({{ this|tojson if this else '' }}) \ue001
{{ lines }}
\ue000 endcall \ue001
{% else %}
{% call rendered(this) %}
{{ lines }}
{% endcall %}
{% endif %}
{% endmacro %}
"""
USE_IMPORTS = f"""\
{{% set package = cookiecutter.project_slug %}}
{{% from '{IMPORTS}' import imports with context %}}
"""

HOOK_START = '''\
"""Refuses what a project cannot be named, by the rules of copier's questions."""

import json
import sys

{% set sentences = [] %}
'''
# An answer that nobody typed is a template to cookiecutter: what was given is judged.
HOOK_RULE = """
{% set given = (_cookiecutter|default({})).get('NAME', '')|string %}
{% set is_plain = '{' not in given or 'cookiecutter.' in given %}
{% set NAME = cookiecutter.NAME if is_plain else given %}
{% set sentence %}
RULE
{% endset %}
{% set _ = sentences.append(sentence|trim) %}
"""
HOOK_END = """\
sentence = json.loads(r'{{ sentences|select|first|default('')|tojson }}')
if sentence:
    sys.exit(sentence)
"""
# Cruft generates projects again, to compare them: in directories that it removes.
HOOK_AFTER = """\
\"\"\"Says what to do next, as copier does.\"\"\"

import json
import tempfile
from pathlib import Path

{% set message %}
MESSAGE
{% endset %}
message = json.loads(r'{{ message|tojson }}')
project = Path.cwd().resolve()
if Path(tempfile.gettempdir()).resolve() not in project.parents:
    print(message.replace("DIRECTORY", str(project)).strip())
"""
INCLUDED = re.compile(r"\{%-?\s*(?:include|from)\s+'([^']+)'[^%]*%\}")

README = """\
# Templates for cookiecutter

Compiled from {source} at {ref}. Change them there: what is here is replaced.
"""


class FamilyError(Exception):
    """The family cannot be compiled; the message is one sentence for people."""


@dataclass(frozen=True)
class Variant:
    """One project that becomes a template.

    Attributes:
        name: Of its directory.
        title: What it is, for the menu.
        description: When to choose it.
        answers: What is not asked any more.
    """

    name: str
    title: str
    description: str
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Origin:
    """Where the template comes from, for ``copier update``.

    Attributes:
        source: The repository's address.
        ref: The version, as ``git describe`` names it.
    """

    source: str
    ref: str


def find_variants(root: Path) -> list[Variant]:
    """List the files of ``variants/`` in the order of the question ``preset``.

    Its labels say what a variant is and, behind a semicolon, when to choose it.
    """
    labels = load_config(root)["preset"]["choices"]
    variants = []
    for label, name in labels.items():
        if (root / "variants" / f"{name}.yml").is_file():
            title, _, when = label.partition("; ")
            variants.append(Variant(name, title, when or title, {"preset": name}))
    return variants


def select_variants(root: Path, words: Sequence[str], *, every: bool) -> list[Variant]:
    """Choose variants by their names, and combinations by their answers or ids.

    Args:
        root: Directory that holds ``copier.yml``.
        words: Names of variants, and what ``combinations.select`` takes.
        every: Whether all combinations are chosen; all variants are without any word.

    Raises:
        SelectionError: A word names nothing.
    """
    variants = {variant.name: variant for variant in find_variants(root)}
    if not words and not every:
        return list(variants.values())
    others = [word for word in words if word not in variants]
    combinations = select(find_combinations(root), others) if others or every else []
    return [variants[word] for word in words if word in variants] + [
        Variant(
            combination.id,
            combination.id,
            ", ".join(map("=".join, combination.answers.items())),
            combination.answers,
        )
        for combination in combinations
    ]


def files_of(tree: Path) -> dict[str, Path]:
    """List a tree's files by their paths in it."""
    return {
        path.relative_to(tree).as_posix(): path
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


class Compiler:
    """Compiles variants of one version of the template."""

    def __init__(self, template: Path, origin: Origin, scratch: Path) -> None:
        """Read the rules of names and choose a sentinel for each.

        Args:
            template: A plain copy of the family, which is changed.
            origin: Where it comes from.
            scratch: Directory for what is thrown away.

        Raises:
            FamilyError: A rule or a default of a name cannot be taken to cookiecutter.
        """
        self.template = template
        self.origin = origin
        self.scratch = scratch
        self.config = load_config(template)
        self.all_questions = load_questions(template)
        self.questions = {
            name: details
            for name, details in self.config.items()
            if isinstance(details, dict)
            and details.get("type") == "str"
            and details.get("when") is not False
            and "choices" not in details
        }
        self.jinja_options = {
            option: value
            for option, value in self.config["_envops"].items()
            # Cookiecutter sets these itself, to what the template needs.
            if option not in {"undefined", "keep_trailing_newline"}
        }
        self.rules = {name: self._rule(name) for name in self.questions}
        self.sentinels = self._names(SENTINELS)
        self.forms = dict(self._forms())
        forms = "|".join(map(re.escape, sorted(self.forms, key=len, reverse=True)))
        self.marks = re.compile("|".join([forms, *TAGS]))
        self.tokens = re.compile(rf"{self.marks.pattern}|{{{{+|{{(?=[%#]|{forms})")
        self.imports = (template / IMPORTS).rename(
            template / "includes" / "rendered_imports.jinja"
        )
        (template / IMPORTS).write_text(RECORDED_IMPORTS, "utf-8")

    def _environment(self, *directories: Path) -> jinja2.Environment:
        """Return a Jinja environment as cookiecutter's, without copier's filters."""
        return jinja2.Environment(  # noqa: S701 - it writes programs, not pages
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            loader=jinja2.FileSystemLoader(directories),
            **self.jinja_options,
        )

    # --- Names ------------------------------------------------------------------------

    def _rule(self, name: str) -> str:
        """Return what refuses a name, with what it includes in place."""

        def inlined(source: str) -> str:
            return INCLUDED.sub(
                lambda tag: inlined((self.template / tag[1]).read_text("utf-8")), source
            )

        rule = inlined(self.questions[name].get("validator", ""))
        try:
            self._environment().from_string(rule)
            self._environment().from_string(self._default(name))
        except jinja2.TemplateError as error:
            raise FamilyError(
                f"Cookiecutter cannot take the question {name}: {error}"
            ) from error
        return rule

    def _default(self, name: str) -> str:
        """Return a default as cookiecutter takes it; it may follow from other names."""
        source = str(self.questions[name]["default"])
        tree = self._environment().parse(source)
        used = jinja2.meta.find_undeclared_variables(tree)
        given = [
            f"{{% set {other} = cookiecutter.{other} %}}"
            for other in self.questions
            if other in used
        ]
        return "".join([*given, source])

    def _names(self, tried: Sequence[str]) -> dict[str, str]:
        """Return for each name the first sentinel that its rule accepts."""
        names = {}
        for number, (name, rule) in enumerate(self.rules.items()):
            judge = self._environment().from_string(rule)
            for text in tried:
                answer = text.format(f"zqx{number}")
                if not judge.render({name: answer}).strip():
                    names[name] = answer
                    break
            else:
                raise FamilyError(f"The rule of {name} refuses all of {tried}.")
        return names

    def _forms(self) -> Iterator[tuple[str, str]]:
        """Yield how a sentinel may come out, and the expression that gives the same."""
        environment = self._environment()
        environment.filters["to_json"] = json.dumps
        environment.filters["as_python"] = repr
        for name, sentinel in self.sentinels.items():
            known: list[str] = []
            for form, expression in FORMS.items():
                text = environment.from_string(f"{{{{ x{form} }}}}").render(x=sentinel)
                # JSON of an address, for one, is the address between quotes.
                if not any(other in text for other in known):
                    known.append(text)
                    yield text, expression.replace("NAME", name)

    # --- Files ------------------------------------------------------------------------

    def compile(self, variant: Variant, destination: Path) -> int:
        """Compile one variant.

        Args:
            variant: What is compiled.
            destination: Directory of the template, to be created.

        Returns:
            The number of files that it generates.

        Raises:
            FamilyError: Its projects would not be those of copier.
        """
        as_they_are = []
        with tempfile.TemporaryDirectory(dir=self.scratch) as scratch:
            answers = {**variant.answers, **self.sentinels}
            files = files_of(render(answers, Path(scratch), template=self.template))
            for path, file in files.items():
                name = self._as_template(path, path)
                name = name.replace("{{ ", "{{").replace(" }}", "}}")
                content = file.read_bytes()
                compiled = self._compiled(path, content)
                if compiled is None:
                    as_they_are.append(glob.escape(name))
                target = destination / PROJECT / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content if compiled is None else compiled)
                shutil.copymode(file, target)
        self._write_settings(destination, as_they_are)
        self._write_message(destination, answers)
        self._prove(variant, destination)
        return len(files)

    def _compiled(self, path: str, content: bytes) -> bytes | None:
        """Return a file as a template; nothing if it holds no name."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return None
        if path == self.config["_answers_file"]:
            return self._compiled_answers(text).encode()
        compiled = self._as_template(text, path)
        if not self.marks.search(text):
            return None
        uses_imports = any(tag in text for tag in TAGS)
        return (USE_IMPORTS * uses_imports + compiled).encode()

    def _as_template(self, text: str, path: str) -> str:
        """Replace sentinels by expressions, and escape the braces of others."""

        def replaced(found: re.Match[str]) -> str:
            escaped = f"{{{{ '{found[0]}' }}}}"
            return self.forms.get(found[0], TAGS.get(found[0], escaped))

        compiled = self.tokens.sub(replaced, text)
        if left := re.search(r".{0,20}zqx\d.{0,20}", compiled, re.IGNORECASE):
            raise FamilyError(
                f"{path} holds a name in a form that FORMS does not have: {left[0]!r}."
            )
        return compiled

    def _compiled_answers(self, text: str) -> str:
        """Write the answers that copier would, with the origin that it would find."""
        answers = yaml.safe_load(text)
        answers |= {"_commit": self.origin.ref, "_src_path": self.origin.source}
        comments = [line for line in text.splitlines() if line.startswith("#")]
        quoted = {name: FORMS[AS_JSON].replace("NAME", name) for name in self.questions}
        lines = [
            f"{name}: {quoted.get(name, json.dumps(answer, ensure_ascii=False))}"
            for name, answer in sorted(answers.items())
        ]
        return "\n".join([*comments, *lines, ""])

    def _write_settings(self, destination: Path, as_they_are: Sequence[str]) -> None:
        """Write what stands beside the project: questions, rules, the macro."""
        settings = {
            **{name: self._default(name) for name in self.questions},
            "__directory": DIRECTORY,
            "__prompts__": {
                name: question["help"] for name, question in self.questions.items()
            },
            "_copy_without_render": as_they_are,
            "_jinja2_env_vars": self.jinja_options,
        }
        _write_json(destination / SETTINGS, settings)
        rules = [
            HOOK_RULE.replace("NAME", name).replace("RULE", rule.strip())
            for name, rule in self.rules.items()
        ]
        hook = destination / "hooks" / "pre_gen_project.py"
        hook.parent.mkdir()
        hook.write_text("".join([HOOK_START, *rules, HOOK_END]), "utf-8")
        macro = destination / "templates" / IMPORTS
        macro.parent.mkdir(parents=True)
        shutil.copy(self.imports, macro)

    def _write_message(self, destination: Path, answers: Mapping[str, str]) -> None:
        """Write the hook that says what copier says after copying."""
        values = settle(self.all_questions, answers)
        known = {
            "_copier_conf": {"dst_path": "DIRECTORY"},
            "_copier_answers": {"_src_path": self.origin.source},
        }
        text = self.config["_message_after_copy"]
        message = str(self.all_questions[0].render(text, {**values, **known}))
        hook = destination / "hooks" / "post_gen_project.py"
        compiled = self._as_template(message.strip(), "_message_after_copy")
        hook.write_text(HOOK_AFTER.replace("MESSAGE", compiled), "utf-8")

    # --- Proof ------------------------------------------------------------------------

    def _prove(self, variant: Variant, compiled: Path) -> None:
        """Compare what a compiled template gives for the shortest names with copier's.

        Raises:
            FamilyError: They differ.
        """
        environment = self._environment(compiled / PROJECT, compiled / "templates")
        names = self._names(SHORTEST)
        given = dict(_generated(compiled, environment, names))
        with tempfile.TemporaryDirectory(dir=self.scratch) as scratch:
            answers = {**variant.answers, **names}
            files = files_of(render(answers, Path(scratch), template=self.template))
            expected = {path: file.read_bytes() for path, file in files.items()}
        for path in sorted(expected | given):
            is_same = given.get(path) == expected.get(path)
            # The answers file is the same to who reads it; the tests compare that.
            if not is_same and path != self.config["_answers_file"]:
                raise FamilyError(
                    f"{variant.name}: {path} depends on the length, order or a part of "
                    "names, not in imports: cookiecutter could not give the same."
                )


def _generated(
    compiled: Path, environment: jinja2.Environment, names: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file that cookiecutter would write."""
    settings = json.loads((compiled / SETTINGS).read_text("utf-8"))
    for name, file in files_of(compiled / PROJECT).items():
        path = environment.from_string(name).render(cookiecutter=names)
        if glob.escape(name) in settings["_copy_without_render"]:
            yield path, file.read_bytes()
        else:
            text = environment.get_template(name).render(cookiecutter=names)
            yield path, text.encode()


def _write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


# --- The family -----------------------------------------------------------------------


def find_origin(root: Path, source: str | None, ref: str) -> Origin:
    """Find what ``copier update`` needs to know.

    Args:
        root: A clone of the family.
        source: Its address; by default that of its remote ``origin``, and its own
            directory where it has none.
        ref: A tag, branch or commit.

    Raises:
        GitError: There is no such version, or no repository.
    """
    version = git.run(
        *("describe", "--tags", "--always", f"{ref}^{{commit}}"), directory=root
    )
    if (
        source is None
        and "origin" in git.run("remote", directory=root).decode().split()
    ):
        source = git.run("remote", "get-url", "origin", directory=root).decode().strip()
    return Origin(source or str(root.resolve()), version.decode().strip())


def compile_family(
    template: Path, variants: Sequence[Variant], origin: Origin, output: Path
) -> Iterator[tuple[Variant, int, float]]:
    """Compile variants, and the menu that leads to them.

    Args:
        template: A plain copy of the family, which is changed.
        variants: What is compiled, in the order of the menu.
        origin: Where the copy comes from.
        output: Directory for the templates; an earlier family in it is replaced.

    Yields:
        Each variant when it is compiled, the number of its files, and the seconds.

    Raises:
        FamilyError: Something else is in ``output``, or a variant cannot be compiled.
    """
    if output.exists() and any(output.iterdir()) and not (output / SETTINGS).is_file():
        raise FamilyError(f"{output} holds something else: give an empty directory.")
    with tempfile.TemporaryDirectory(prefix="python-patterns-family-") as scratch:
        compiler = Compiler(template, origin, Path(scratch))
        family = Path(scratch, "cookiecutter")
        menu = {}
        for variant in variants:
            start = time.perf_counter()
            count = compiler.compile(variant, family / variant.name)
            yield variant, count, time.perf_counter() - start
            menu[variant.name] = {
                "path": f"./{variant.name}",
                "title": variant.title,
                "description": variant.description,
            }
        _write_json(family / SETTINGS, {"templates": menu})
        about = README.format(source=origin.source, ref=origin.ref)
        (family / "README.md").write_text(about, encoding="utf-8")
        for old in output.iterdir() if output.exists() else ():
            if old.is_dir() and old.name != ".git":
                shutil.rmtree(old)
        shutil.copytree(family, output, dirs_exist_ok=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 1 where it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.cookiecutter_family",
        description="Compile the template family into templates for cookiecutter.",
    )
    parser.add_argument(
        "selection",
        nargs="*",
        help="variants, answer=value[,value...] or combinations; else all variants",
    )
    parser.add_argument("--all", action="store_true", help="take every combination")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument(
        "--source", help="address that projects are updated from; else that of origin"
    )
    parser.add_argument("--ref", default="HEAD", help="tag, branch or commit")
    arguments = parser.parse_args(words)
    console = Console(highlight=False)
    root, ref, output = FAMILY_ROOT, arguments.ref, arguments.output
    try:
        origin = find_origin(root, arguments.source, ref)
        changed = ("status", "--porcelain", "--", *TEMPLATE_PARTS)
        if ref == "HEAD" and git.run(*changed, directory=root):
            console.print("What is not committed is not compiled.")
        with tempfile.TemporaryDirectory(prefix="python-patterns-family-") as scratch:
            template = check_out(root, ref, Path(scratch))
            words, every = arguments.selection, arguments.all
            variants = select_variants(template, words, every=every)
            compiled = compile_family(template, variants, origin, output)
            for variant, count, seconds in compiled:
                console.print(f"{variant.name}: {count} files, {seconds:.1f} s")
    except (FamilyError, GitError, SelectionError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    console.print(f"{len(variants)} templates of {origin.ref} in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
