"""Whatever a message or a help text tells a user to type: the option is there, and the verb beside it has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import typer

import afterbert
from afterbert.cli.main import build_app
from afterbert.cli.options import OF_FILES

SOURCES = Path(afterbert.__file__).parent
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z_-]*)(\.[a-z_.]+|\.[A-Z]+)?")
_COMMAND = re.compile(r"afterbert ([a-z][a-z-]+)([^`\n;]*)")
# Words of torchrun, srun, spm_train and XLM's script, of `afterbert` without a verb; a setting outside any node;
# and settings of fine-tuning that are told in the verb's own spelling.
_OTHERS = {"nproc-per-node", "gpus-per-task", "sample_alpha", "model_type", "version", "length"}
_OTHERS |= {"job-name", "array", "output", "time", "install"}  # of Slurm and of WSL
_OTHERS |= {"num_seeds", "batch_size", "layer_decay", "class_weights", "head_start"}


def options_of_verbs() -> dict[str, set[str]]:
    """Verb -> its options without their dashes."""
    group = typer.main.get_command(build_app())
    assert isinstance(group, typer.core.TyperGroup)
    context = typer.Context(group)
    commands = {verb: group.get_command(context, verb) for verb in group.list_commands(context)}
    return {
        verb: {word.lstrip("-") for one in command.params for word in (*one.opts, *one.secondary_opts)} | {"help"}
        for verb, command in commands.items()
        if command is not None
    }


def texts() -> Iterator[tuple[str, str]]:
    """Every string of the sources, with what an f-string puts in left as a gap: (place, text)."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            said = ""
            if isinstance(node, ast.JoinedStr):
                said = "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = node.value
            if "--" in said:
                yield f"{path.relative_to(SOURCES)}:{node.lineno}", said


def test_every_option_that_is_named_exists():
    verbs = options_of_verbs()
    known = set().union(*verbs.values()) | _OTHERS
    wrong = [
        f"{place}: --{name}"
        for place, said in texts()
        for name, dotted in _OPTION.findall(said)
        if name not in known and not dotted
    ]
    assert not wrong
    assert len(known) > 100


def test_a_command_that_is_told_has_its_options():
    verbs = options_of_verbs()
    wrong = []
    for place, said in texts():
        for verb, rest in _COMMAND.findall(said):
            if verb in verbs:
                named = {name for name, dotted in _OPTION.findall(rest) if not dotted} - _OTHERS
                wrong += [f"{place}: afterbert {verb} has no --{name}" for name in named - verbs[verb]]
    assert not wrong


def test_whoever_reads_files_of_text_takes_the_same_options():
    taken = {verb: options for verb, options in options_of_verbs().items() if "documents" in options}
    assert {"embed", "search", "evaluate", "adapt-vocabulary", "mine-phrases", "pretrain"} <= set(taken)
    for verb, options in taken.items():
        assert {name.replace("_", "-") for name in OF_FILES} <= options, verb
