"""Tasks and models as a terminal shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from afterbert.api.terminal import console, safe
from afterbert.probes.picture import Cell, Picture
from afterbert.workflows.gallery import Exhibit

if TYPE_CHECKING:
    from torch import nn

    from afterbert.recipes.recipe import Resolved

# Action -> style. Said in the legend, so that colour is never the only carrier.
STYLES = {
    "mask": "black on yellow",
    "random": "white on red",
    "keep": "black on green",
    "inserted": "white on magenta",
    "moved": "black on cyan",
    "removed": "red strike",
    "special": "dim",
    "": "",
}
# Pieces that go on with the word before them (plane word_start).
_CONTINUES = "underline"
_WIDEST_PICTURE = 40


def print_exhibits(exhibits: Sequence[Exhibit]) -> None:
    """Prints the tasks of one recipe."""
    console.print(f"\n[bold]{exhibits[0].recipe}[/bold]: {safe(exhibits[0].title)}")
    for exhibit in exhibits:
        if exhibit.task:
            console.print(f"  [italic]{safe(exhibit.task)}[/italic]")
        if exhibit.picture is not None:
            print_picture(exhibit.picture)
            if exhibit.note:
                console.print(f"  [dim]note: {safe(exhibit.note)}[/dim]")
        else:
            console.print(f"  [dim]{safe(exhibit.reason)}[/dim]")


def print_picture(picture: Picture) -> None:
    """Prints what is read, asked and written, and who sees whom."""
    console.print(Text("  text   ").append_text(_cells(picture.before)))
    console.print(Text("  reads  ").append_text(_cells(picture.shown)))
    hides = [
        f"{cell.text.strip()} ← {picture.truth(cell).strip() or 'nothing'}"
        for cell in picture.shown
        if cell.action == "mask" and len(cell.places) != 1
    ]
    if hides:
        console.print(Text("  hides  ").append("   ".join(hides)))
    asked = [f"{cell.text.strip()} ← {cell.asked}" for cell in picture.shown if cell.asked and cell.asked != "·"]
    if asked:
        console.print(Text("  asked  ").append("   ".join(asked)))
    if picture.written:
        console.print(Text("  writes ").append_text(_cells(picture.written)))
    for label in picture.labels:
        console.print(f"  label  {label}")
    console.print(f"  sees   {_sight(picture.may_attend)}")
    seen = sorted({cell.action for cell in picture.shown if cell.action})
    console.print(
        Text("  colour ")
        .append_text(Text(" ").join(Text(f" {name} ", style=STYLES[name]) for name in seen))
        .append("  ")
        .append("continues a word", style=_CONTINUES)
    )


def _cells(cells: tuple[Cell, ...]) -> Text:
    line = Text()
    for cell in cells:
        text = cell.text if cell.action != "special" and cell.text.strip() else f" {cell.text}"
        leading = len(text) - len(text.lstrip(" "))
        if not cell.is_read:  # told by signs too: a log has no colours
            text = f"{text[:leading]}[-{text[leading:]}-]"
        line.append(text[:leading])
        style = f"{STYLES[cell.action]} {_CONTINUES}" if cell.continues_word else STYLES[cell.action]
        line.append(printable(text[leading:]), style=style.strip())
    return line


def printable(text: str) -> str:
    """Returns the text with a dot for each character that a terminal does not print."""
    return "".join(c if c.isprintable() else "·" for c in text)


def _sight(may_attend: np.ndarray) -> str:
    """The attention square in words where it is simple, else drawn."""
    size = len(may_attend)
    if may_attend.all():
        return "every piece sees every piece"
    if (may_attend == np.tri(size, dtype=bool)).all():
        return "every piece sees itself and what stands before it"
    shown = may_attend[:_WIDEST_PICTURE, :_WIDEST_PICTURE]
    rows = ["".join("■" if cell else "·" for cell in row) for row in shown]
    return "line sees column\n" + "\n".join(f"         {row}" for row in rows)


def print_model(resolved: Resolved) -> None:
    """Prints the model's tree with the parameters of each part, and its cost per token."""
    from afterbert.base.vocabulary import Vocabulary
    from afterbert.nn.skeleton import skeleton
    from afterbert.nn.stack import StackModule

    model, length = resolved.recipe.model, resolved.recipe.length
    size = model.vocab_size or 30_000
    with skeleton():
        backbone = model.build(Vocabulary(size=size))
        head = model.build_lm_head(backbone)
    console.print(f"\n[bold]{resolved.name}[/bold] ({resolved.size}), vocabulary of {size:,}")
    _print_parts(backbone, "backbone", 0)
    _print_parts(head, "lm_head (beyond the table)", 0)
    console.print(f"  predicted {model.num_parameters(size):,} parameters in the backbone")
    stacks = {name: part for name, part in backbone.named_modules() if isinstance(part, StackModule)}
    for name, stack in stacks.items():
        attentions, transforms = len(stack.attention), len(stack.feed_forward)
        layers = len(stack.layer_types)
        if min(attentions, transforms) < layers:
            plural = "s" * (transforms > 1)
            console.print(
                f"  {name}: {layers} layers of {attentions} attention and {transforms} feed-forward part{plural}"
            )
    counted = f"{model.flops_per_token(size, length) / 1e6:,.2f} MFLOPs a token forward at length {length}"
    if model.writes == "apart":
        counted += " (mean of a token read and one written)"
    if any(stack.recurrence is not None for stack in stacks.values()):
        counted += " (if no piece halts)"
    console.print(f"  {counted}, head {model.lm_head_flops(size) / 1e6:,.2f} a piece")


def _print_parts(module: nn.Module, name: str, depth: int) -> None:
    count = sum(parameter.numel() for parameter in module.parameters())
    if count and depth < 4:
        console.print(f"  {'  ' * depth}{name:<{34 - 2 * depth}}{count:>14,}  {type(module).__name__}")
        for child, inner in module.named_children():
            _print_parts(inner, child, depth + 1)
