"""What benchmarks of several parts share: their options, cells that are measured once and kept, tables in a page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def parser_of_parts(name: str, description: str | None, parts: list[str], *, seeds: int) -> argparse.ArgumentParser:
    """name: of the folder with its runs and the file with its results; `parts` are all run when none is named."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=[*parts, "table"], default=parts)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / name, help="the runs")
    results = ROOT / "benchmarks" / "results" / f"{name}.json"
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--scale", type=float, default=1.0, help="of rows and steps: small for a try")
    return parser


def kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(path: Path, known: dict[str, Any], name: str, cell: dict[str, Any]) -> None:
    """Adds a cell to the file, and to `known` what another part may have written meanwhile."""
    known |= kept(path)
    known[name] = cell
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{name}: done", flush=True)


def write_between(page: Path, name: str, text: str) -> None:
    """Puts the text between the page's marks of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{page} has no marks {begin} and {end}; put them where the tables belong")
    page.write_text(f"{before}{begin}\n{text.rstrip()}\n{mark}{after}", encoding="utf-8")
