"""The way of a request for pre-training, from `run_request` to the finished run: few functions that hand it on, and
none of the command line."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import afterbert
from afterbert.recipes.recipe import Recipe, Resolved
from afterbert.workflows.pretrain_request import PretrainRequest, run_request

_SOURCE = str(Path(afterbert.__file__).parent)
_MOST_STAYS = 30
_TEXT = "\n\n".join(
    f"The {one} miller said that {two} rivers run past the mill. Nobody knew why the {two} gulls came in {one} boats."
    for one in ("old", "kind", "tall", "poor", "wise", "glad", "slow", "loud", "rich", "shy")
    for two in ("two", "nine", "grey", "cold", "long", "wide", "deep", "few", "far", "warm")
)


def test_a_request_passes_few_functions_on_its_way_to_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stays: dict[str, int] = {}
    climbed: set[str] = set()

    def entered(frame: FrameType, event: str, given: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_SOURCE) or "<" in code.co_name:
            return
        name = f"{code.co_filename.removeprefix(_SOURCE)}: {code.co_qualname}"
        if "/cli/" in name:
            climbed.add(name)
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if any(isinstance(frame.f_locals.get(one), (PretrainRequest, Resolved, Recipe)) for one in names):
            stays[name] = stays.get(name, 0) + 1

    Path("texts.txt").write_text(_TEXT, encoding="utf-8")
    settings = {"training.budget": "2steps", "tokenizer.vocab_size": "300", "training.batch_size": "4"}
    request = PretrainRequest(texts=("texts.txt",), size="tiny", overrides=tuple(settings.items()), out=Path("runs"))
    before = sys.getprofile()
    sys.setprofile(entered)
    try:
        result = run_request(request)
    finally:
        sys.setprofile(before)
    assert result.outcome.state == "finished"
    assert not climbed
    assert len(stays) <= _MOST_STAYS, "\n".join(f"{count} times {name}" for name, count in stays.items())
