"""Builds the documentation site from `docs/`, README and docstrings, without a network: `make docs`.

python docs/build.py [--out site]            the site (extra docs: zensical)
python docs/build.py --recipes               writes docs/all-recipes.md anew from the recipe files
"""

from __future__ import annotations

import argparse
import ast
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from afterbert.recipes.files import heading_of, known

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "afterbert"

NAVIGATION = {
    "Start": {
        "README": "index.md",
        "A model for my text, and search": "my-text.md",
        "Which idea for my corpus": "which-idea.md",
        "See every idea": "see-ideas.md",
        "From text to report": "tour.md",
        "Asked for elsewhere": "asked-elsewhere.md",
    },
    "Make a model": {
        "Input": "input.md",
        "Recipes": "recipes.md",
        "All recipes": "all-recipes.md",
        "Words and phrases": "units.md",
        "Training": "training.md",
        "Many machines": "cluster.md",
        "Models": "models.md",
    },
    "Use a model": {
        "Search": "search.md",
        "Tasks": "tasks.md",
        "Many tasks": "many-tasks.md",
        "Without fine-tuning": "zero-shot.md",
        "See it, serve it": "see-it.md",
        "Languages": "languages.md",
        "Making it smaller": "compression.md",
    },
    "Compare ideas": {
        "Studies": "studies.md",
        "Results of studies": "evidence/README.md",
        "Records": "records/README.md",
    },
    "Know it better": {
        "From Python": "python.md",
        "Reference": "reference.md",
        "Speed": "speed.md",
        "Quality per minute": "learning.md",
        "Reliability": "reliability.md",
        "Methods checked": "methods-check.md",
        "Log of trials": "log.md",
        "Words used here": "glossary.md",
        "Working on afterbert": "CONTRIBUTING.md",
        "Changes": "CHANGELOG.md",
    },
}

CONFIG = """[project]
site_name = "afterbert"
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
nav = [
{nav}
]
[project.theme]
font = false
features = ["navigation.sections", "navigation.top", "navigation.footer", "search.highlight", "content.code.copy"]
[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
[project.extra]
generator = false
"""


def recipe_table() -> str:
    """The page of all recipes as Markdown, from the heads of their files: paper, what is asked, when to take it."""
    rows = [
        "# All recipes",
        "",
        "Written by `python docs/build.py --recipes` from the recipe files; `afterbert recipes NAME` says more.",
        "",
        "| recipe | paper | what it asks | when to take it |",
        "|---|---|---|---|",
    ]
    for name in known():
        asks, when = about(name)
        heading = heading_of(name)
        cells = (f"`{name}`", f"{heading.title}. {heading.paper or ''}", asks, when)
        rows.append("| " + " | ".join(cell.replace("|", "\\|").strip() for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def about(name: str) -> tuple[str, str]:
    """What the comment at the head of a recipe's file says: of the recipe, and behind `Take it` when to take it."""
    lines = (PACKAGE / "recipes" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    told = " ".join(line.removeprefix("#").strip() for line in lines[:first])
    asks, _, when = told.partition("Take it ")
    return asks.strip(), when.strip()


def reference() -> str:
    """The public functions and classes of `import afterbert as ab`, from their signatures and docstrings alone."""
    parts = ["# Reference", "", "Made from the docstrings of `afterbert.api`."]
    for path in sorted((PACKAGE / "api").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
                continue
            if told := ast.get_docstring(node):
                parts += ["", f"## {node.name}", "", *_signature(node), "", told]
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_") and ast.get_docstring(inner):
                    parts += [
                        "",
                        f"### {node.name}.{inner.name}",
                        "",
                        *_signature(inner),
                        "",
                        ast.get_docstring(inner) or "",
                    ]
    return "\n".join(parts) + "\n"


def _signature(node: ast.ClassDef | ast.FunctionDef) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return []
    gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return ["```python", f"{node.name}({ast.unparse(node.args)}){gives}", "```"]


def gather(pages: Path) -> None:
    """Puts every page into one folder, with links that fit there."""
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("*.py", "*.json"))
    shutil.copytree(ROOT / "examples", pages / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "benchmarks" / "results", pages / "benchmarks" / "results")
    for name, to in (
        ("README.md", "index.md"),
        ("CONTRIBUTING.md", "CONTRIBUTING.md"),
        ("CHANGELOG.md", "CHANGELOG.md"),
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        (pages / to).write_text(text.replace("](docs/", "](").replace("](README.md", "](index.md"), encoding="utf-8")
    (pages / "LICENSE.md").write_text((ROOT / "LICENSE").read_text(encoding="utf-8"), encoding="utf-8")
    (pages / "all-recipes.md").write_text(recipe_table(), encoding="utf-8")
    (pages / "reference.md").write_text(reference(), encoding="utf-8")
    for page in pages.glob("*.md"):
        page.write_text(re.sub(r"\]\(\.\./(?!\.)", "](", page.read_text(encoding="utf-8")), encoding="utf-8")


def build(out: Path) -> None:
    """Writes the site to `out`. Raises CalledProcessError where the generator fails."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        gather(work / "pages")
        groups = [
            f'  {{ "{title}" = [' + ", ".join(f'{{ "{label}" = "{page}" }}' for label, page in pages.items()) + "] },"
            for title, pages in NAVIGATION.items()
        ]
        (work / "zensical.toml").write_text(CONFIG.format(nav="\n".join(groups)), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "zensical", "build"], cwd=work, check=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(work / "site", out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    parser.add_argument("--recipes", action="store_true")
    chosen = parser.parse_args()
    if chosen.recipes:
        (DOCS / "all-recipes.md").write_text(recipe_table(), encoding="utf-8")
    else:
        build(chosen.out)


if __name__ == "__main__":
    main()
