"""From text to a model to a task, read from top to bottom.

    python examples/tour.py            a few minutes on two cores, no network
    python examples/tour.py --quick    the same steps with hardly any training

The text is the documentation that every Python carries. Put your own folder in its place.
"""

from __future__ import annotations

import argparse
import csv
import pydoc_data.topics
import re
from pathlib import Path

import afterbert as ab


def write_texts(folder: Path) -> Path:
    """One text file for each topic of the language reference."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(pydoc_data.topics.topics.items()):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def write_labelled(path: Path, count: int) -> Path:
    """A task made from the same documentation: is a sentence about functions, or about something else?"""
    everything = " ".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    sentences = [" ".join(one.split()) for one in re.split(r"(?<=[.!?])\s+(?=[A-Z])", everything)]
    readable = [one for one in dict.fromkeys(sentences) if 40 < len(one) < 200]
    about = [one for one in readable if "function" in one.lower()][: count // 2]
    other = [one for one in readable if "function" not in one.lower()][: len(about)]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for yes, no in zip(about, other):
            rows.writerows([[yes, "functions"], [no, "other"]])
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="hardly any training, to see the steps")
    parser.add_argument("--out", type=Path, default=Path("tour"), help="where everything is written")
    asked = parser.parse_args()
    budget, rows = ("20steps", 60) if asked.quick else ("2min", 600)

    # 1. A task is what a recipe asks of a sentence. Look at three before any of them is trained.
    sentence = "The function returns a list. It raises an error when the list is empty."
    for recipe in ("bert-mlm", "spanbert", "gpt2"):
        print(ab.show(sentence, recipe=recipe))

    # 2. Text becomes a store of pieces, once, for any number of runs.
    texts = write_texts(asked.out / "texts")
    store = ab.prepare(texts, asked.out / "store")

    # 3. A recipe and a budget make a run: a model, its figures, a report to open in a browser.
    run = ab.pretrain(store, recipe="laptop", size="tiny", budget=budget, out=asked.out / "runs")
    print(run)

    # 4. One setting changed makes another run; the two differ in nothing else.
    more = ab.pretrain(
        store, recipe="laptop", size="tiny", budget=budget, overrides={"masking.rate": 0.15}, out=asked.out / "runs"
    )
    for name, one in (("30% masked", run), ("15% masked", more)):
        print(f"{name}: {one.figures['measures']['masked_accuracy']:.1%} of hidden pieces found")

    # 5. The model fills in blanks and turns texts into vectors.
    model = ab.load(run)
    print(model.fill("The [MASK] returns a list."))
    print("vectors:", model.encode(["a list of names", "an empty tuple"]).shape)

    # 6. Labelled rows make it answer a question; the figures stand beside what guessing is worth.
    labelled = write_labelled(asked.out / "about.csv", rows)
    tuned = ab.finetune(run, labelled, epochs=1 if asked.quick else 3, out=asked.out / "about")
    print(tuned)
    answers = ab.load(tuned.model).predict(["The function takes two arguments.", "A tuple is immutable."])
    for answer in answers:
        print(f"{answer.value} ({answer.confidence:.0%})")

    # 7. Nothing ties it to this package: transformers loads what was saved.
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    theirs = AutoModelForMaskedLM.from_pretrained(run.model)
    tokenizer = AutoTokenizer.from_pretrained(run.model)
    print(type(theirs).__name__, "reads", tokenizer.tokenize("An immutable sequence."))


if __name__ == "__main__":
    main()
