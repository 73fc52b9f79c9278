"""Nothing that a stranger wrote acts on the terminal: one place shows control and direction characters as signs.

Help and tables fit eighty columns; sentences are left to the terminal, which wraps them."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from afterbert.api.terminal import ProgressBar, console, safe
from afterbert.base.plugins import listed
from afterbert.cli.main import run

EVIL = "a\x1b[31mb\u202ec\x07"
SEEN = "a␛[31mb⟨U+202E⟩c␇"


def test_the_console_shows_what_would_act(capsys):
    console.print(safe(EVIL), EVIL, safe(f"{EVIL}\n{EVIL}"))
    with ProgressBar(1, EVIL) as progress:
        progress.to(1, note=EVIL)
    told = capsys.readouterr().out
    assert "\x1b" not in told and "\u202e" not in told and "\x07" not in told
    assert told.count(SEEN) == 5  # rich itself takes a bell out of what it was given as markup
    assert f"{SEEN}\n{SEEN}" in told


def test_an_error_is_one_line_whatever_it_quotes(tmp_path, capsys):
    recipe = tmp_path / "evil.yaml"
    recipe.write_text('extends: laptop\n"a\\e[31mb\\nc": 1\n')
    assert run(["pretrain", str(tmp_path), "--recipe", str(recipe), "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert "a␛[31mb␊c" in told
    assert len(told.splitlines()) == 1 and "\x1b" not in told


def test_of_a_value_as_long_as_a_page_the_ends_are_shown(tmp_path, capsys):
    recipe = tmp_path / "long.yaml"
    recipe.write_text(f"extends: {'a' * 9000}\n")
    assert run(["pretrain", str(tmp_path), "--recipe", str(recipe), "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and " ... " in told and len(told) < 2100


def test_a_name_that_no_run_may_have_is_told_in_a_dry_run_too(capsys):
    assert run(["pretrain", "texts", "--name", "../x", "--dry-run"]) == 2
    assert "run name '../x' may hold only" in capsys.readouterr().err


def test_memory_that_ran_out_is_one_line(capsys, monkeypatch):
    def full():
        raise MemoryError

    monkeypatch.setattr("afterbert.cli.main.build_app", full)
    assert run(["recipes"]) == 2
    assert capsys.readouterr().err.startswith("error: memory ran out; ")


@pytest.mark.parametrize(("raised", "status"), [(SystemExit(143), 143), (KeyboardInterrupt(), 130)])
def test_a_signal_is_told_in_a_sentence(raised, status, capsys, monkeypatch):
    def stopped():
        raise raised

    monkeypatch.setattr("afterbert.cli.main.build_app", stopped)
    assert run([]) == status
    assert capsys.readouterr().err.startswith("stopped")


def test_a_text_between_colons_is_no_picture(capsys):
    with console.capture() as printed:
        console.print("a:b: x :smile:", markup=True)
    assert printed.get() == "a:b: x :smile:\n"


@pytest.mark.parametrize("name", ["no\x1b[2Jsuch", "no\nsuch"])
def test_a_name_from_the_command_line_is_quoted_safely(name, capsys):
    assert run(["pretrain", name, "--dry-run", "--recipe", name]) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told and len(told.splitlines()) == 1


def test_a_warning_of_ours_is_a_note_without_code(capsys):
    import warnings

    from afterbert.cli import main

    main._noted("say\x1b it", UserWarning, main.__file__, 1)
    main._noted("old", DeprecationWarning, main.__file__, 1)
    ours, theirs = capsys.readouterr().err.split("\n", 1)
    assert ours.startswith("note: say") and "\x1b" not in ours and "DeprecationWarning: old" in theirs
    assert warnings.showwarning is not main._noted


@pytest.mark.parametrize("verb", listed("afterbert.cli.verbs"))
def test_help_fits_eighty_columns(verb, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([verb.strip("_").replace("_", "-"), "--help"]) == 0
    assert max(map(cell_len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize("words", [["recipes"], ["recipes", "spanbert"], ["show", "--model"], ["show", "The cat sat."]])
def test_tables_fit_eighty_columns(words, monkeypatch, capsys):
    monkeypatch.setattr(console, "_width", 80)
    assert run(words) == 0
    assert max(map(cell_len, capsys.readouterr().out.splitlines())) <= 80
