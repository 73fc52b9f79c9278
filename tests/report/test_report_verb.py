"""`afterbert report`."""

from __future__ import annotations

from fabricated import fabricate

from afterbert.cli.main import run as afterbert


def test_prints_the_path(tmp_path, capsys):
    folder = fabricate(tmp_path / "run")
    assert afterbert(["report", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert (folder / "report.html").exists()


def test_opens_a_browser_when_asked(tmp_path, capsys, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    out = tmp_path / "a b.html"
    assert afterbert(["report", str(fabricate(tmp_path / "run")), "--out", str(out), "--open"]) == 0
    assert opened == [out.as_uri()]
    assert "%20" in opened[0]


def test_a_users_error_is_one_line(tmp_path, capsys):
    assert afterbert(["report", str(tmp_path / "absent")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "there is no folder" in said


def test_help_has_an_example(capsys):
    assert afterbert(["report", "--help"]) == 0
    assert "afterbert report runs/" in capsys.readouterr().out
