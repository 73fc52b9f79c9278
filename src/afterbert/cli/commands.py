"""The command and its verbs: each is built when it is called, so that none waits for the others."""

import importlib
import inspect
import math
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperGroup

from afterbert.base.plugins import listed
from afterbert.cli.verbs import PANELS

_FREE_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}


class _Verbs(TyperGroup):
    """Every module of `verbs` as a sub-command. The list of them is plain text: loading what draws boxes takes twice
    as long as all the rest of it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.modules = {name.strip("_").replace("_", "-"): name for name in listed("afterbert.cli.verbs")}
        names: dict[str, Any] = dict.fromkeys(self.modules)  # its "did you mean" asks for no more
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.modules:
            return None
        module = self._module(cmd_name)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
        settings = _FREE_OPTIONS if getattr(module, "TAKES_RECIPE_OPTIONS", False) else {}
        app.command(cmd_name, context_settings=settings)(getattr(module, self.modules[cmd_name]))
        return typer.main.get_command(app)

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.modules, key=lambda name: (getattr(self._module(name), "PLACE", math.inf), name))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            place = getattr(self._module(name), "PLACE", math.inf) // 100
            title = PANELS[int(place)] if place < len(PANELS) else "More"
            told = inspect.getdoc(getattr(self._module(name), self.modules[name])) or ""
            panels.setdefault(title, []).append((name, " ".join(told.partition("\n\n")[0].split())))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(
                    rows, col_spacing=1 + max(map(len, self.modules)) - max(len(name) for name, _ in rows)
                )

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"afterbert.cli.verbs.{self.modules[name]}")


def build_app() -> typer.Typer:
    """Returns the command with every module of `verbs` as a sub-command, in the order that they state."""
    app = typer.Typer(
        cls=_Verbs,
        help="Turn a folder of text into a small language model, and see which pre-training idea serves it best.",
        epilog="What a verb takes, with an example: afterbert VERB --help",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_without_verb)
    return app


def _without_verb(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    if version:
        from afterbert import __version__

        typer.echo(f"afterbert {__version__}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
