"""What the demo shows at its end: filled sentences, and where to go next."""

from typing import Any

from rich.text import Text

from afterbert.api.terminal import console
from afterbert.base.runs import RunFolder
from afterbert.base.small_files import read_json_object
from afterbert.cli.showing import printable


def print_samples(run: RunFolder, *, count: int = 6) -> None:
    """Prints held-out sentences with the model's first guess at each mask: green where right, else struck out beside
    the truth."""
    samples = read_json_object(run.path / "samples.json")["filled"]
    if not samples:
        return
    console.print("\nheld-out sentences, masked words filled in (green: right; red: the model's guess, then the truth)")
    for sample in samples[:count]:
        console.print(Text("  ").append_text(_sentence(sample["pieces"])))


def _sentence(pieces: list[dict[str, Any]]) -> Text:
    line = Text()
    for piece in pieces:
        text = printable(piece["text"])
        if not piece["masked"]:
            line.append(text)
        elif piece["guesses"][0][0] == piece["truth"]:
            line.append(text, style="bold green")
        else:
            line.append(printable(piece["guesses"][0][0]), style="red")
            line.append(f" ({text.strip()})", style="dim")
    return line


def print_next_steps(run: RunFolder) -> None:
    """Prints three commands to try on one's own text."""
    console.print("\nnext, with your own text:")
    console.print("  afterbert pretrain my_texts/ --budget 10min        a folder of .txt, .jsonl, .csv, .parquet")
    console.print(f'  afterbert fill "A list of [MASK]." --model {run.path}', markup=False)
    console.print('  afterbert show "What does the task do to this sentence?" --recipe bert-mlm')
