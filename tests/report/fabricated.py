"""A run folder as training leaves it, made up."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

RECIPE = """\
title: Laptop                                # laptop.yaml:4
tokenizer:
  type: wordpiece                            # laptop.yaml:8
  vocab_size: 8192                           # default
model:
  type: encoder                              # laptop.yaml:10
  num_hidden_layers: 2                       # laptop.yaml:38 (size tiny)
  hidden_size: 160                           # --model.hidden_size
  hidden_dropout_prob: 0.0                   # laptop.yaml:12
  norm:
    type: layer_norm                         # laptop.yaml:14
    bias: false                              # laptop.yaml:14
    eps: 1.0e-05                             # laptop.yaml:14
objective:
  type: masked_lm                            # laptop.yaml:24
  pretext:
    edits:
    - selection:
        type: fixed_count                    # laptop.yaml:29
        unit: piece                          # laptop.yaml:29
        rate: 0.3                            # laptop.yaml:29
      corruption:
        type: mask                           # laptop.yaml:30
        mask_share: 0.8                      # default
training:
  budget: 2min                               # --training.budget
  batch_size: 16                             # laptop.yaml:34
  views: null                                # default
length: 128                                  # laptop.yaml:6
"""

TEXT = (
    "The walls of the old house stood upon the hill, and the river below it ran to the sea. "
    "In the spring the valley was green, and the farmers came down with their sheep."
)
SECOND = (
    "If the file does not exist, open raises an error; otherwise it returns a new object. "
    "The default value is None, which means that the whole list is used."
)
GUESSES = {
    "house": [("house", 0.41), ("city", 0.17), ("town", 0.09), ("church", 0.05), ("road", 0.02)],
    "hill": [("ground", 0.22), ("hill", 0.19), ("shore", 0.1), ("road", 0.06), ("hills", 0.05)],
    "river": [("water", 0.16), ("road", 0.12), ("valley", 0.07), ("land", 0.05), ("sun", 0.03)],
    "sea": [("sea", 0.58), ("east", 0.11), ("south", 0.06), ("shore", 0.04), ("west", 0.03)],
    "ers": [("ers", 0.83), ("er", 0.06), ("land", 0.02), ("s", 0.02), ("house", 0.01)],
    "exist": [("exist", 0.92), ("match", 0.01), ("return", 0.01), ("have", 0.008), ("support", 0.005)],
    "error": [("exception", 0.51), ("error", 0.33), ("object", 0.02), ("iterator", 0.01), ("index", 0.01)],
    "object": [("string", 0.3), ("list", 0.2), ("file", 0.1), ("iterator", 0.05), ("tuple", 0.04)],
    "None": [("None", 0.64), ("0", 0.1), ("False", 0.08), ("True", 0.07), ("1", 0.02)],
}


def fabricate(folder: Path, *, steps: int = 390) -> Path:
    """Writes the run folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    write(folder, "status.json", {"state": "finished", "step": 10 * steps, "total_steps": 10 * steps})
    write_metrics(folder, steps)
    write(folder, "data.json", _data())
    write(folder, "evaluation.json", _evaluation())
    write(folder, "statistics.json", _statistics())
    samples = {"corrupted": [corrupted(TEXT), corrupted(SECOND)], "filled": [filled(TEXT), filled(SECOND)]}
    write(folder, "samples.json", samples)
    _write_model(folder / "model")
    return folder


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def write_metrics(folder: Path, steps: int) -> None:
    rng = np.random.default_rng(0)
    lines = []
    for i in range(1, steps + 1):
        share = i / steps
        loss = 3.75 + 5.2 * np.exp(-9 * share) - 0.35 * share + rng.normal(0, 0.11)
        step = {
            "kind": "step",
            "step": 10 * i,
            "loss": loss,
            "parts": {"masked_lm": loss},
            "learning_rate": 3e-3 * min(share / 0.05, (1 - share) / 0.95),
            "grad_norm": 0.6 + 1.5 * np.exp(-6 * share) + abs(rng.normal(0, 0.08)),
            "tokens": 20480 * i,
            "tokens_per_second": 13000 + rng.normal(0, 350),
            "seconds": 1.575 * i,
        }
        lines.append(json.dumps(step))
        if i % (max(1, steps // 10)) == 0:
            measures = {"loss": loss + 0.08, "masked_accuracy": 0.302 * (1 - np.exp(-3.5 * share))}
            lines.append(json.dumps({"kind": "evaluation", "step": 10 * i, "figures": measures}))
    (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))


def _data() -> dict[str, Any]:
    return {
        "store": "stores/novels-8k",
        "splits": {"train": {"documents": 4102, "pieces": 6912034}, "held_out": {"documents": 84, "pieces": 141209}},
        "tally": {
            "read": 4321,
            "kept": 4186,
            "dropped": {"exact_duplicate": 96, "empty": 31, "invalid_utf8": 8},
            "repaired": {"control_characters": 12, "cut_at_sentence": 3},
            "bytes": 29_400_000,
        },
        "sources": [
            {"name": "novels.jsonl", "bytes": 18_200_000, "documents": 2911},
            {"name": "standardebooks.jsonl", "bytes": 11_200_000, "documents": 1410},
        ],
        "tokenizer": {"kind": "wordpiece", "vocab_size": 8192},
    }


def _evaluation() -> dict[str, Any]:
    return {
        "measures": {
            "loss": 3.4127,
            "bits_per_byte": 1.183,
            "masked_accuracy": 0.3278,
            "accuracy_one_piece_word": 0.3391,
            "accuracy_word_otherwise_visible": 0.4872,
            "accuracy_wholly_masked_word": 0.1124,
        },
        "baselines": {"most_frequent_piece": 0.0512, "left_and_right_neighbour": 0.1684},
        "counts": {"asked": 20213.0, "one_piece_word": 15104.0, "wholly_masked_word": 1307.0},
        "objective": {"loss": 3.71, "masked_accuracy": 0.2954},
    }


def _statistics() -> dict[str, Any]:
    return {
        "rows": 2048,
        "chosen_share": 0.29971,
        "actions": {"mask": 0.8004, "random": 0.0997, "kept": 0.0999},
        "span_lengths": {"1": 36011, "2": 10820, "3": 3214, "4": 990, "5": 301, "6": 88},
    }


def pieces_of(text: str) -> list[str]:
    """Words with their leading space, punctuation apart, `farmers` in two pieces."""
    words = text.replace("farmers", "farm|ers").replace(",", "|,").replace(".", "|.").replace(";", "|;")
    return [piece for word in words.split() for piece in f" {word}".split("|")]


def corrupted(text: str) -> dict[str, Any]:
    """Every fourth piece chosen, all three actions among them."""
    pieces = ["[CLS]", *pieces_of(text), "[SEP]"]
    shown: list[dict[str, Any]] = [{"text": piece, "places": [i]} for i, piece in enumerate(pieces)]
    for i in range(3, len(pieces) - 1, 4):
        action = {0: "random", 1: "keep"}.get(i % 7, "mask")
        text = {"mask": "[MASK]", "random": " lamp"}.get(action, pieces[i])
        shown[i] |= {"action": action, "text": text, "asked": pieces[i].strip()}
    for end in (0, -1):
        shown[end]["action"] = "special"
    return {"before": [{"text": piece} for piece in pieces], "shown": shown, "sight": ["1" * len(pieces)] * len(pieces)}


def filled(text: str) -> dict[str, Any]:
    """Every piece that GUESSES knows hidden."""
    pieces: list[dict[str, Any]] = []
    for piece in pieces_of(text):
        guesses = GUESSES.get(piece.strip(), [])
        space = " " if piece.startswith(" ") else ""
        told = {"masked": True, "truth": piece, "guesses": [[space + word, p] for word, p in guesses]}
        pieces.append({"text": piece} | (told if guesses else {"masked": False}))
    return {"pieces": pieces}


def _write_model(folder: Path) -> None:
    folder.mkdir()
    write(folder, "config.json", {"architectures": ["ModernBertForMaskedLM"], "model_type": "modernbert"})
    header = json.dumps({"decoder.bias": {"dtype": "F32", "shape": [8192], "data_offsets": [0, 32768]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(32768))
