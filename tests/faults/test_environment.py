"""What surrounds a run (locale, time zone, hash seed, names of folders, the clock, secrets) changes nothing and
leaks nowhere."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afterbert.base.runs import RunFolder
from afterbert.text.token_store.store import Store
from afterbert.workflows.resume_evidence import Evidence, first_difference

CANARY = "hf_canary0123456789"
PLAIN = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"}
ODD = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "0"}
# Otherwise Python leaves the C locale by itself.
ODD |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TEXTS = "Meine Texte 📚.txt"
SMALL = "--recipe bert-mlm --budget 3steps --length 32 --training.batch_size 4 --model.num_hidden_layers 1"


def pretrain(folder: Path, environment: dict[str, str]) -> tuple[RunFolder, str]:
    """The run that the command line makes in a folder, in an environment; and what it said."""
    folder.mkdir()
    lines = [f"Der Igel Nr. {n} — 刺猬 🦔 — schlief lange, und {n} Kätzchen auch." for n in range(150)]
    (folder / TEXTS).write_text("\n\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "afterbert", "pretrain", TEXTS, "--out", "Läufe 🐾", *SMALL.split()],
        cwd=folder,
        env={**os.environ, **environment, "HF_TOKEN": CANARY, "MY_API_KEY": CANARY},
        capture_output=True,
        timeout=300,
    )
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, said
    (recipe,) = folder.glob("Läufe 🐾/*/recipe.yaml")
    return RunFolder(recipe.parent), said


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_any_environment_gives_the_same_run_and_keeps_secrets(tmp_path: Path) -> None:
    plain, said = pretrain(tmp_path / "plain", PLAIN)
    odd, said_there = pretrain(tmp_path / "with spaces, ümläut and 🦔", ODD)
    assert plain.path.name == odd.path.name, "the name holds a hash of recipe and data"
    expected, found = Evidence.of(plain), Evidence.of(odd)
    assert first_difference(expected, found) is None
    assert len(expected.steps) and len(expected.files) == 4
    stores = [next(run.path.parent.glob("stores/*")) for run in (plain, odd)]
    assert stores[0].name == stores[1].name
    assert Store.open(stores[0]).fingerprint == Store.open(stores[1]).fingerprint
    assert CANARY not in said + said_there
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 30
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []


def test_a_clock_that_jumps_back_does_not_silence_the_status(tmp_path: Path, monkeypatch) -> None:
    jumps = itertools.chain([1e9, 1e9 + 60, 1e9 - 3600], itertools.count(1e9 - 3599))
    run = RunFolder.create(tmp_path, "run")
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    for step in range(3):
        run.report(state="training", step=step)
    status = run.status()
    assert status is not None and status.step == 2


@pytest.fixture
def as_another_user(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Root may write everywhere: what this gives makes a test that root runs go on as nobody."""
    if os.geteuid() != 0:
        yield lambda: None
        return
    modes = {folder: folder.stat().st_mode for folder in (tmp_path, *tmp_path.parents)}
    for folder, mode in modes.items():
        folder.chmod(mode | 0o011)
    yield lambda: os.seteuid(65534)
    os.seteuid(0)
    for folder, mode in modes.items():
        folder.chmod(mode)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, rows, a model trained for a step and one fine-tuned for a step."""
    from afterbert.cli.main import run

    folder = tmp_path_factory.mktemp("made")
    folder.chmod(0o755)  # whoever goes on with a run looks for its texts there
    (folder / "texts.txt").write_text("".join(f"the New York cat sat {n} times.\n\n" for n in range(150)))
    (folder / "rows.csv").write_text("text,label\n" + "".join(f"cat {n} sat,good\nno cat {n},bad\n" for n in range(20)))
    (folder / "pairs.tsv").write_text("".join(f"cat {n} sat\tdie Katze {n} sass\n" for n in range(40)))
    texts, rows, base = (str(folder / name) for name in ("texts.txt", "rows.csv", "base"))
    small = SMALL.replace("3steps", "1steps").split()
    assert run(["pretrain", texts, "--out", str(folder), "--name", "base", *small]) == 0
    assert run(["finetune", "-m", base, "-t", rows, "--budget", "1steps", "--out", str(folder / "tuned")]) == 0
    return folder


WRITING = (
    "prepare texts.txt --out {}/new",
    "pretrain texts.txt --out {}",
    "pretrain --resume {}/base",
    "finetune -m base -t rows.csv --out {}/new",
    "predict tuned rows.csv --out {}/new.csv",
    "export base {}/new",
    "export tuned {}/new",
    "export base --page {}/new.html",
    "compress base --with heads:0.5 --out {}/new",
    "embed base texts.txt --out {}/new",
    "align base pairs.tsv --html {}/new.html",
    "add-language base texts.txt --lang is --out {}/new",
    "adapt-vocabulary base texts.txt --out {}/new",
    "import-checkpoint base/model {}/new",
    "mine-phrases texts.txt --out {}/new",
    "show cat --html {}/new.html",
    "report base --out {}/new.html",
    "compare base base --out {}/new.html",
    "study masking-rate --text texts.txt --scale smoke --out {}",
    "runs --rename {}/base other",
    "runs --remove {}/base",
)


@pytest.mark.parametrize("verb", WRITING)
def test_a_folder_that_cannot_be_written_is_one_line(
    verb: str,
    made: Path,
    tmp_path: Path,
    as_another_user: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from afterbert.cli.main import run

    for one in made.iterdir():
        shutil.copytree(one, tmp_path / one.name) if one.is_dir() else shutil.copy(one, tmp_path)
    monkeypatch.chdir(tmp_path)
    shutil.copytree("base", "locked/base")
    for one in (Path("locked"), Path("locked/base")):
        one.chmod(0o555)
    before = sorted(Path("locked").rglob("*"))
    # another user may not be able to read the libraries: they are there once a verb has been refused
    run(verb.format("texts.txt").split())
    capsys.readouterr()
    as_another_user()
    assert run(verb.format("locked").split()) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "locked" in lines[0] and "ermission denied" in lines[0]
    assert sorted(Path("locked").rglob("*")) == before


def test_a_file_that_may_not_be_read_is_one_line(
    made: Path,
    tmp_path: Path,
    as_another_user: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Weights without the right to read them were said to be broken, and to be downloaded again."""
    from afterbert.cli.main import run

    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "base", "base")
    assert run(["fill", "the<mask>", "--model", "base"]) == 0
    Path("base/model/model.safetensors").chmod(0)
    capsys.readouterr()
    as_another_user()
    assert run(["fill", "the<mask>", "--model", "base"]) == 2
    assert capsys.readouterr().err == (
        "error: base/model/model.safetensors cannot be read (Permission denied); change its rights\n"
    )
