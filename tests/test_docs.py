"""What the pages say is there: commands and their options, links, recipes; and the site is built without a network."""

import dataclasses
import importlib
import importlib.util
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from afterbert.base.plugins import find, listed, names
from afterbert.cli.commands import build_app
from afterbert.recipes import known, resolve

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
BUILD = ROOT / "docs" / "build.py"


def commands(page):
    """Every line of a block that begins with our command; what a shell does with it is left out."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^ *```(?:sh)?\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^    (afterbert .*)$", text, re.MULTILINE)
    return [line.strip() for line in lines if line.strip().startswith("afterbert ")]


COMMANDS = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in commands(page)]


@pytest.fixture(scope="module")
def app():
    return typer.main.get_command(build_app())


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_verb_and_options_exist(page, line, app):
    verb, *words = shlex.split(re.split(r"\s[|>]\s", line, maxsplit=1)[0], comments=True)[1:]
    if verb.startswith("-"):
        return
    command = app.get_command(None, verb)
    assert command is not None, f"{page}: no verb {verb}"
    known = {option for one in command.params for option in one.opts} | {"--help", "-h"}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    free = {word for word in given if "." in word or "_" in word or word in ("--length", "--title")}
    assert not given - known - (free if command.context_settings.get("ignore_unknown_options") else set()), (
        f"{page}: {line}"
    )


def test_races_are_shown_between_recipes_of_one_tokenizer():
    """A race of others is refused."""
    shown = [
        line for page in PAGES for line in re.findall(r"afterbert race ([^`\n]*)", page.read_text(encoding="utf-8"))
    ]
    asked = [dict(itertools.pairwise(words)) for words in map(shlex.split, shown)]
    assert any("--tokenizer.type" in one for one in asked)
    for one in asked:
        settings = [("tokenizer.type", one["--tokenizer.type"])] if "--tokenizer.type" in one else []
        ours = set(one.get("--recipes", "").split(",")) & set(known())
        cuts = [resolve(name, overrides=settings).recipe.tokenizer for name in ours]
        assert all(cut == cuts[0] for cut in cuts), one


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_pages_import_is_there(page):
    text = page.read_text(encoding="utf-8")
    told = re.findall(r"^from (afterbert[\w.]*) import (.+)$", text, re.MULTILINE)
    told += re.findall(r"`(afterbert[\w.]*)\.([A-Z]\w*)", text)
    for module, imported in told:
        for name in imported.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{page.name}: {module}.{name}"


def test_every_layer_stands_in_the_tour_of_the_folders():
    tour = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("src/afterbert/\n")[2].partition("```")[0]
    told = set(re.findall(r"^  ([a-z]+)/", tour, re.MULTILINE))
    assert told == {path.parent.name for path in (ROOT / "src" / "afterbert").glob("*/__init__.py")}


def test_the_table_of_parts_names_every_plugin():
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `([a-z_/]+)/`: ([a-z0-9_, ]+) \|$", page, re.MULTILINE)
    assert len(rows) == 18
    for folder, told in rows:
        assert told == ", ".join(listed(f"afterbert.{folder.replace('/', '.')}")), folder


def test_the_table_of_methods_tells_their_defaults():
    from afterbert.compression.methods import Method

    page = (ROOT / "docs" / "compression.md").read_text(encoding="utf-8").partition("## Measured")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == names(Method)
    for name, told in rows:
        fields = {one.name: one.default for one in dataclasses.fields(find(Method, name))}
        for key, default in re.findall(r"`(\w+)=([\w.]+)`", told):
            assert str(fields[key]).lower() in (default, f"{default}.0"), f"{name}: {key}"


def test_the_table_of_recipes_is_theirs():
    spec = importlib.util.spec_from_file_location("docs_build", BUILD)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert (ROOT / "docs" / "all-recipes.md").read_text(encoding="utf-8") == build.recipe_table()
    assert all(all(build.about(name)) for name in build.known())


def test_the_site_is_built_and_asks_nobody(tmp_path):
    pytest.importorskip("zensical", reason="the extra docs is not installed", exc_type=ImportError)
    subprocess.run([sys.executable, str(BUILD), "--out", str(tmp_path / "site")], check=True, capture_output=True)
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {"index.html", "tasks.html", "reference.html", "all-recipes.html"} <= {page.name for page in pages}
    assert (tmp_path / "site" / "search.json").is_file()
    for page in pages:
        assert not re.search(r"<(?:link|script|img)[^>]+https?://", page.read_text(encoding="utf-8")), page
