"""What `generate` does: a prompt and what a model makes of it, on a terminal piece by piece."""

from collections.abc import Sequence

from afterbert.api.terminal import console, safe, tell_notes
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.training.devices import default_device
from afterbert.workflows.loading import load_model_or_checkpoint


def print_texts(
    name: str, prompt: str, generation: Generation, *, longest: int, stop: Sequence[str], count: int
) -> None:
    """Prints `count` texts, each after its prompt where the model goes on with it. Raises UserError."""
    drawn = generation.several(count)
    generator = TextGenerator.of(load_model_or_checkpoint(name), device=default_device())
    tell_notes(generator.model.notes)
    shown = "" if generator.reads_apart else prompt
    for number, one in enumerate(drawn, start=1):
        if count > 1:
            console.print(f"[dim]{number}[/dim]")
        console.print(f"[bold]{safe(shown)}[/bold]", end="")
        printed = _Printed(console.is_terminal)
        (text,) = generator.write([prompt], one, longest=longest, stop=stop, told=printed)
        printed.rest(text)
        console.print()


class _Printed:
    """Prints what is new of a text that grows; all at once where there is no terminal. The last few characters wait,
    since the next piece may complete them."""

    def __init__(self, is_live: bool):
        self.is_live, self.length = is_live, 0

    def __call__(self, texts: Sequence[str]) -> None:
        if self.is_live:
            self.rest(texts[0].rstrip("\ufffd"))

    def rest(self, text: str) -> None:
        """Prints what of `text` was not printed yet."""
        console.print(safe(text[self.length :]), end="")
        self.length = max(self.length, len(text))
