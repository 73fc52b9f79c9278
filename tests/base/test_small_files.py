"""Files from elsewhere are read within bounds: no device, no pipe, no endless nesting, one line for each fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular, read_bytes, read_json, read_json_object, read_text
from afterbert.base.tree import read as read_yaml
from afterbert.downstream.reading.source import split_files
from afterbert.downstream.row_files.text_file import TextFile
from afterbert.interop.hub import locate
from afterbert.interop.untrusted_files import TensorFiles, read_config
from afterbert.recipes.files import layers_of
from afterbert.report import write_report
from afterbert.report.run_record import read_run
from afterbert.text.planes._listed import read_list
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers._guard import read_untrusted


def refused(call, *arguments) -> str:
    with pytest.raises(UserError) as found:
        call(*arguments)
    (line,) = found.value.lines
    assert "\n" not in line
    return line


def test_a_small_file_takes_little_memory(tmp_path):
    """Room for the largest file was taken for each: under a batch system's limit nothing could be read."""
    (tmp_path / "a.json").write_text("{}")
    code = "import resource, sys; from pathlib import Path; from afterbert.base.small_files import read_bytes;"
    code += "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize();"
    code += "resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2);"
    code += "sys.exit(read_bytes(sys.argv[1], most=1 << 30) != b'{}')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=True)


@pytest.mark.parametrize("call", [split_files, layers_of, locate, read_run])
def test_a_pipe_is_not_said_to_be_missing(tmp_path, monkeypatch, call):
    """In place of labelled rows, a recipe, a model, a run."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("a.yaml")
    line = refused(call, "a.yaml" if call is layers_of else Path("a.yaml"))
    assert "does not exist" not in line and "there is no" not in line and "hub" not in line


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_only_regular_files_are_opened(tmp_path, kind):
    """A link to /dev/zero, or a pipe without a writer, once hung every command."""
    path = tmp_path / "config.json"
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    for read in (check_regular, read_bytes, read_text, read_json):
        assert f"{path} is a {kind}, not a regular file" in refused(read, path)


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("config.json", lambda path: read_config(path.parent)),
        ("model.safetensors", lambda path: TensorFiles.of(path.parent)),
        ("model.safetensors.index.json", lambda path: TensorFiles.of(path.parent)),
        ("tokenizer.json", read_untrusted),
        ("store.json", lambda path: Store.open(path.parent)),
        ("recipe.yaml", read_yaml),
        ("phrases.txt", lambda path: read_list(str(path))),
        ("rows.csv", TextFile.of),
        ("status.json", lambda path: write_report(path.parent)),
        ("metrics.jsonl", lambda path: write_report(path.parent)),
    ],
)
@pytest.mark.timeout(60)
def test_whoever_reads_a_file_asks_what_it_is(tmp_path, name, reader):
    os.mkfifo(tmp_path / name)
    assert "is a pipe" in refused(reader, tmp_path / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1 is not JSON"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 5_000, "a number that is no size or rate"),
        ("NaN", "NaN is no number"),
        ("", "is not JSON"),
    ],
)
def test_broken_json_is_one_line(tmp_path, text, said):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert said in refused(read_json, path)


def test_what_is_read_has_bounds(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json_object(path) == {"a": 1}
    assert "8 bytes, more than the 5" in refused(lambda: read_bytes(path, most=5))
    path.write_text("[1]")
    assert "holds a list" in refused(read_json_object, path)
    path.write_bytes(b"one\ntwo\n\xff")
    assert f"{path}:3 is not UTF-8 at byte 8" in refused(read_text, path)
    assert "cannot be read" in refused(read_text, tmp_path / "missing")
    assert "cannot be read" in refused(read_text, "a\0b")


def test_a_limit_of_the_batch_system_is_no_fault_of_the_tokenizer(tmp_path):
    """Under `ulimit -v` below our own limit, setting ours failed, and the tokenizer was called bad."""
    from afterbert.text.tokenizers.wordpiece import WordPiece

    WordPiece(vocab_size=60, min_frequency=1, lowercase=True).make(["a b c"] * 9, corpus_bytes=45).save(tmp_path)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (5 << 30, 5 << 30))\n"
        "from pathlib import Path\n"
        "from afterbert.text.tokenizers._guard import read_untrusted\n"
        "print(len(read_untrusted(Path(sys.argv[1]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(tmp_path) / "tokenizer.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
