"""A small text with sentences, paragraphs and a few rare words, labelled rows, and what studies need of both."""

from __future__ import annotations

import random
from pathlib import Path

SUBJECTS = ["the old miller", "a young farmer", "the quiet judge", "her brother", "the tall captain", "my neighbour"]
VERBS = ["saw", "bought", "lost", "painted", "carried", "forgot", "repaired", "admired", "sold", "found"]
OBJECTS = [
    "a grey horse",
    "the broken clock",
    "three apples",
    "an unreadable letter",
    "the wooden bridge",
    "a small boat",
]
PLACES = ["near the river", "in the market", "before the storm", "behind the church", "at midnight", "on the hill"]


def sentence(draw: random.Random) -> str:
    parts = [draw.choice(words) for words in (SUBJECTS, VERBS, OBJECTS, PLACES)]
    return f"{' '.join(parts)}.".capitalize()


def write_texts(folder: Path, *, documents: int = 60) -> Path:
    """One file of documents, a JSON line each."""
    import json

    draw = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "texts.jsonl"
    lines = [
        json.dumps({"text": " ".join(sentence(draw) for _ in range(draw.randint(6, 14)))}) for _ in range(documents)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_task(folder: Path) -> Path:
    """Labelled sentences: is there a horse in it?"""
    draw = random.Random(1)
    rows = [sentence(draw) for _ in range(60)]
    path = folder / "horses.csv"
    path.write_text("text,label\n" + "".join(f"{row},{'yes' if 'horse' in row else 'no'}\n" for row in rows))
    return path


def write_transfer(folder: Path) -> Path:
    """The same in files that tell languages: is there a boat in it?"""
    draw = random.Random(2)
    folder.mkdir(exist_ok=True)
    for name, count in (("en-train", 60), ("en-test", 20), ("de-test", 20)):
        rows = [sentence(draw) for _ in range(count)]
        lines = [f"{row},{'yes' if 'boat' in row else 'no'}\n" for row in rows]
        (folder / f"{name}.csv").write_text("text,label\n" + "".join(lines))
    return folder
