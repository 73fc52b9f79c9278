"""Progress in a notebook is one bar that moves, not a page of lines."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from afterbert.api.terminal import NotebookBar, ProgressBar


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands in the cell's output, every time it is drawn; IPython itself is not needed for it."""
    drawn: list[str] = []
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.HTML = str  # type: ignore[attr-defined]
    display.display = lambda first, display_id: SimpleNamespace(update=drawn.append)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return drawn


def test_a_cell_has_one_bar_that_moves(shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(40, "training", unit="step") as bar:
        bar.to(10, "loss <b>")
        bar.to(40, "loss 2.1")
    assert (
        shown[0].startswith('<progress max="40" value="10"></progress> training  step 10 of 40') and "&lt;b" in shown[0]
    )
    assert shown[-1].startswith('<progress max="40" value="40">')
    assert capsys.readouterr().out == ""


def test_a_prompt_of_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not NotebookBar.serves()
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not NotebookBar.serves()
