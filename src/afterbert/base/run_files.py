"""What lies in a run folder: one table, by which runs are recognised, reported and described."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class RunFile:
    """A file or folder of a run."""

    name: str
    kind: Literal["yaml", "json", "jsonl", "folder", "page"]
    purpose: str
    """For the reader of a report, as the end of a sentence that begins with the name."""
    tells_a_run: bool = False
    """Whether a folder that holds it is taken for a run."""


RUN_FILES: Mapping[str, RunFile] = {
    file.name: file
    for file in (
        RunFile("recipe.yaml", "yaml", "every setting with its origin; can be run again as it is", True),
        RunFile("metrics.jsonl", "jsonl", "one line a step, the source of the curves", True),
        RunFile("status.json", "json", "where the run stands", True),
        RunFile("course.json", "json", "how many steps the run has"),
        RunFile("data.json", "json", "the text in numbers, and where its store lies", True),
        RunFile("mixture.json", "json", "how much of each store was planned, and how much was drawn"),
        RunFile("languages.json", "json", "what each language won or lost when one was added"),
        RunFile("figures.json", "json", "the name and unit of each figure, and what a uniform guess would reach"),
        RunFile("closing.json", "json", "the labelled data asked at the end of the run"),
        RunFile("evaluation.json", "json", "held-out measures and baselines", True),
        RunFile("statistics.json", "json", "what the masking really did, counted"),
        RunFile("samples.json", "json", "held-out sentences filled in, and rows as the task shows them"),
        RunFile("tasks.json", "json", "what every recipe's task does to one held-out text"),
        RunFile("model", "folder", "the model, in Hugging Face's layout"),
        RunFile("checkpoints", "folder", "to resume from"),
        RunFile("diagnosis", "folder", "batches whose loss was infinite or not a number"),
        RunFile("report.html", "page", "the report"),
        RunFile("report.md", "page", "the report's numbers as Markdown"),
    )
}


def is_run(folder: Path) -> bool:
    """Returns whether a folder holds any file by which a run is known."""
    return any((folder / name).exists() for name in telling())


def telling() -> list[str]:
    """Returns the names of the files by which a run is known."""
    return [name for name, file in RUN_FILES.items() if file.tells_a_run]


def no_folder(name: str | Path, otherwise: str = "name a run, or the folder of a model") -> str:
    """Returns the line about a missing folder. It ends with runs and models of like names, else with `otherwise`."""
    near = " or ".join(called_like(Path(name)))
    return f"there is no folder {name}; {f'did you mean {near}?' if near else otherwise}"


def called_like(folder: Path) -> list[str]:
    """Returns at most two runs or models of like names, beside a folder or below runs/ and demo/."""
    from difflib import get_close_matches

    inner = "model" if folder.name == "model" else ""
    folder = folder.parent if inner else folder
    inside = ("config.json", "model/config.json", "checkpoints", "tokenizer.json")
    known = [
        str(one)
        for root in dict.fromkeys((folder.parent, Path("runs"), Path("demo")))
        if root.is_dir()
        for one in sorted(root.iterdir())
        if any((one / part).exists() for part in inside) or any(one.glob("seed-*/model"))
    ]
    # the name alone decides where it lies elsewhere
    by_name = {Path(one).name: one for one in known}
    near = get_close_matches(str(folder), known, n=2) or [
        by_name[name] for name in get_close_matches(folder.name, by_name, n=2)
    ]
    return [str(Path(one, inner)) for one in near]
