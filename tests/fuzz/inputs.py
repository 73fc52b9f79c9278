"""Input as it should not be: what is valid, with something broken in it, for the groups of inputs that users bring.

Every attack is a pure function of drawn numbers, so that an example that hypothesis has shrunk can be replayed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml
from hypothesis import strategies as st

from afterbert.recipes.files import known

ODD = [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b'"',
    b"\t\t\t",
    b"{" * 200,
    b"[" * 5000,
    "\u202e\u200d\u0301".encode() * 9,
    "\u0301".encode() * 3000,
    b"9" * 5000,
    b"-1e999",
    b"NaN",
    b"\xed\xa0\x80",
    b"\n" * 50,
    b"\x1b[31m",
    b"null",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 7, 10**6, 10**12, 10**40, 0.1, -0.5, 1e308, float("inf"), float("nan")]),
    st.sampled_from(["", "x", "auto", "[MASK]", "10min", "\u202e", "a" * 9000, "../../etc/passwd", "1e9999"]),
    st.sampled_from([[], {}, [[]], {"type": "x"}, {"a": {"b": 1}}, [None], ["gelu"]]),
)


@dataclass(frozen=True)
class Bytes:
    """A change of a file as bytes: at a share of its length, something is put in, taken out or flipped."""

    at: float
    how: str
    odd: int

    def __call__(self, whole: bytes) -> bytes:
        place = int(self.at * len(whole))
        if self.how == "insert":
            return whole[:place] + ODD[self.odd % len(ODD)] + whole[place:]
        if self.how == "cut":
            return whole[:place]
        if self.how == "drop":
            return whole[:place] + whole[place + 1 + self.odd :]
        if self.how == "repeat":
            return whole[:place] + whole[place : place + 40] * 3 + whole[place:]
        return (
            whole[:place] + bytes([whole[place] ^ (1 << self.odd % 8)]) + whole[place + 1 :] if whole[place:] else b""
        )


def changes_of_bytes() -> st.SearchStrategy[Bytes]:
    how = st.sampled_from(["insert", "cut", "drop", "repeat", "flip"])
    return st.builds(Bytes, st.floats(0, 1), how, st.integers(0, 63))


@dataclass(frozen=True)
class Leaf:
    """A change of a tree (JSON, YAML): one of its nodes becomes another value, goes, or moves to another name."""

    number: int
    how: str
    value: object

    def __call__(self, tree: object) -> object:
        places = list(_places(tree))
        if not places:
            return self.value
        holder, key = places[self.number % len(places)]
        if self.how == "set":
            holder[key] = self.value
        elif self.how == "drop":
            del holder[key]
        elif isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
        return tree


def changes_of_trees() -> st.SearchStrategy[Leaf]:
    return st.builds(Leaf, st.integers(0, 400), st.sampled_from(["set", "set", "set", "drop", "rename"]), VALUES)


def _places(tree):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from _places(value)


# The groups. Each has files to break, a way to break one in a scratch copy, and the command that meets it.

WORDS = "the old mill stood by a river and rain fell on every wheel of it while we slept".split()  # noqa: SIM905
TEXT = "\n\n".join(" ".join(WORDS[(n * k) % 17] for k in range(3, 14)) + f" {n}." for n in range(90))
LABELLED = {
    "a.csv": "text,label\n" + "".join(f'"It was {WORDS[n % 17]}, {n}",{"yes" if n % 2 else "no"}\n' for n in range(24)),
    "b.tsv": "".join(f"{WORDS[n % 17]} rain fell\t{n % 3}\n" for n in range(24)),
    "c.jsonl": "".join(json.dumps({"text": f"{w} fell", "label": w < "n"}) + "\n" for w in WORDS * 2),
    "d.conll": "".join(f"{w} {'B-X' if n % 5 == 0 else 'O'}\n" + "\n" * (n % 4 == 3) for n, w in enumerate(WORDS * 4)),
    "e.json": json.dumps(
        {
            "data": [
                {
                    "title": "t",
                    "paragraphs": [
                        {
                            "context": TEXT[:200],
                            "qas": [
                                {"id": str(n), "question": "what?", "answers": [{"text": TEXT[:7], "answer_start": 0}]}
                                for n in range(9)
                            ],
                        }
                    ],
                }
            ]
        }
    ),
}


def break_text(scratch: Path, base: Path, draw) -> list[str]:
    name = draw(st.sampled_from(["t.txt", "t.jsonl", "t.csv"]))
    whole = {
        "t.txt": TEXT,
        "t.jsonl": "\n".join(json.dumps({"text": t}) for t in TEXT.split("\n\n")),
        "t.csv": "text\n" + TEXT,
    }
    content = whole[name].encode()
    for change in draw(st.lists(changes_of_bytes(), min_size=1, max_size=3)):
        content = change(content)
    (scratch / name).write_bytes(content)
    tokenizer = str(base / "store" / "tokenizer")
    return ["prepare", str(scratch / name), "--out", str(scratch / "out"), "--tokenizer", tokenizer, "--processes", "1"]


def break_labelled(scratch: Path, base: Path, draw) -> list[str]:
    name = draw(st.sampled_from(sorted(LABELLED)))
    content = LABELLED[name].encode()
    for change in draw(st.lists(changes_of_bytes(), min_size=1, max_size=3)):
        content = change(content)
    (scratch / name).write_bytes(content)
    return [
        "finetune",
        "--model",
        str(base / "run"),
        "--task",
        str(scratch / name),
        "--dry-run",
        "--out",
        str(scratch / "out"),
    ]


def break_recipe(scratch: Path, base: Path, draw) -> list[str]:
    import afterbert.recipes as package

    name = draw(st.sampled_from(known()))
    tree = yaml.safe_load((Path(package.__file__).parent / f"{name}.yaml").read_text(encoding="utf-8"))
    for change in draw(st.lists(changes_of_trees(), min_size=1, max_size=2)):
        tree = change(tree)
    (scratch / "r.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return [
        "pretrain",
        str(base / "store"),
        "--recipe",
        str(scratch / "r.yaml"),
        "--dry-run",
        "--out",
        str(scratch / "out"),
    ]


def break_model(scratch: Path, base: Path, draw) -> list[str]:
    shutil.copytree(base / "run" / "model", scratch / "model")
    if draw(st.booleans()):
        path = scratch / "model" / draw(st.sampled_from(["config.json", "tokenizer_config.json", "tokenizer.json"]))
        tree = json.loads(path.read_text(encoding="utf-8"))
        for change in draw(st.lists(changes_of_trees(), min_size=1, max_size=2)):
            tree = change(tree)
        path.write_text(json.dumps(tree), encoding="utf-8")
    else:
        path = draw(st.sampled_from(sorted(file for file in (scratch / "model").iterdir() if file.is_file())))
        path.write_bytes(draw(changes_of_bytes())(path.read_bytes()))
    return ["fill", "the [MASK] mill", "--model", str(scratch / "model")]


def break_run(scratch: Path, base: Path, draw) -> list[str]:
    shutil.copytree(base / "run", scratch / "run")
    small = [file for file in (scratch / "run").rglob("*.json*") if file.is_file() and "model" not in file.parts]
    path = draw(st.sampled_from(sorted(small)))
    path.write_bytes(draw(changes_of_bytes())(path.read_bytes()))
    verb = draw(st.sampled_from(["report", "resume"]))
    run = str(scratch / "run")
    return ["report", run] if verb == "report" else ["pretrain", str(base / "store"), "--resume", run]


GROUPS = {
    "texts": break_text,
    "labelled files": break_labelled,
    "recipes": break_recipe,
    "model folders": break_model,
    "small files of a run": break_run,
}
