"""A checkpoint is whole or absent, whatever happens to the disk."""

import builtins
import errno
import json
import os
import pickle
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.training.checkpoints import manifest, tensor_file
from afterbert.training.checkpoints.checkpoint import Checkpoints
from afterbert.training.checkpoints.manifest import why_bad
from afterbert.training.checkpoints.writing import SaveError

FILES = ("model.safetensors", "optim.safetensors", "state.json", "MANIFEST.json")


def files(step):
    torch.manual_seed(step)
    return {"model": {"w": torch.randn(4, 3), "b": torch.randn(3)}, "optim": {"w.step": torch.tensor(1.0 * step)}}


def checkpoints(folder, *, keep=3, steps=(5, 10)):
    folder.mkdir(exist_ok=True)
    made = Checkpoints(folder, keep=keep)
    for step in steps:
        made.save(step, files(step), {"step": step})
    return made


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_what_is_saved_comes_back(tmp_path):
    made = checkpoints(tmp_path)
    saved, notes = made.latest()
    assert saved is not None
    assert (saved.step, saved.state(), notes) == (10, {"step": 10}, [])
    assert sorted(entry.name for entry in saved.path.iterdir()) == sorted(FILES)
    for name, tensors in files(10).items():
        found = saved.tensors(name)
        assert all(torch.equal(found[key], tensor) for key, tensor in tensors.items())
    assert saved.tensors("carried") == {}


def test_only_the_newest_are_kept(tmp_path):
    checkpoints(tmp_path, keep=2, steps=(5, 10, 15, 20))
    assert names(tmp_path) == ["step-000015", "step-000020"]
    checkpoints(tmp_path, keep=1, steps=(1_000_000,))
    assert names(tmp_path) == ["step-1000000"]


def test_none_were_ever_made(tmp_path):
    assert Checkpoints(tmp_path, keep=1).latest() == (None, [])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine") / "checkpoints"
    checkpoints(folder)
    return folder


@pytest.fixture
def copy(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / "checkpoints"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(pristine, tmp_path, data):
    name = data.draw(st.sampled_from(FILES))
    content = bytearray((pristine / "step-000010" / name).read_bytes())
    offset = data.draw(st.integers(0, len(content) - 1))
    content[offset] ^= 1 << data.draw(st.integers(0, 7))
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder)
    (folder / "step-000010" / name).write_bytes(content)
    saved, notes = Checkpoints(folder, keep=2).latest()
    assert saved is not None
    assert saved.step == 5
    assert len(notes) == 1
    assert name in notes[0]
    assert names(folder) == [".bad-step-000010", "step-000005"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.5, -1])
def test_a_truncated_file_is_found(copy, name, kept):
    path = copy / "step-000010" / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)] if kept >= 0 else content[:-1])
    why = why_bad(copy / "step-000010")
    assert why is not None
    assert name in why
    if name != "MANIFEST.json":
        assert f"expected {len(content):,}" in why


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(copy, name):
    (copy / "step-000010" / name).unlink()
    assert why_bad(copy / "step-000010") == f"{name} is missing"


@pytest.mark.parametrize("name", FILES[:2])
def test_a_file_of_another_checkpoint_is_found(copy, name):
    shutil.copy(copy / "step-000005" / name, copy / "step-000010" / name)
    assert why_bad(copy / "step-000010") == f"{name} has other contents than were saved"


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("name", ["pytorch_model.bin", ".metadata", "optim.safetensors"])
def test_a_pickle_is_refused_and_never_run(copy, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    (copy / "step-000010" / name).write_bytes(pickle.dumps(Payload()))
    saved, notes = Checkpoints(copy, keep=1).latest()
    assert saved is not None
    assert saved.step == 5
    assert name in notes[0]
    assert not (tmp_path / "executed").exists()


def test_a_pickle_with_a_manifest_to_match_is_refused(copy):
    folder = copy / "step-000010"
    (folder / "model.safetensors").write_bytes(pickle.dumps(Payload()))
    digests = {name: tensor_file.digest(folder / name) for name in FILES[:3]}
    (folder / "MANIFEST.json").write_bytes(manifest.manifest_of(manifest.FORMAT, digests))
    saved, _ = Checkpoints(copy, keep=1).latest()
    assert saved is not None
    with pytest.raises(UserError, match="no safetensors file"):
        saved.tensors("model")


def test_links_are_refused(copy, tmp_path):
    path = copy / "step-000010" / "model.safetensors"
    shutil.move(path, tmp_path / "model.safetensors")
    path.symlink_to(tmp_path / "model.safetensors")
    assert why_bad(copy / "step-000010") == "model.safetensors is not a plain file"
    (copy / "step-000015").symlink_to(copy / "step-000005")
    assert why_bad(copy / "step-000015") == "not a folder"
    (copy / "step-000005" / "folder").mkdir()
    assert why_bad(copy / "step-000005") == "folder is not a plain file"


def test_a_newer_format_is_not_called_damaged(copy):
    folder = copy / "step-000010"
    digests = {name: tensor_file.digest(folder / name) for name in FILES[:3]}
    (folder / "MANIFEST.json").write_bytes(manifest.manifest_of(manifest.FORMAT + 1, digests))
    with pytest.raises(UserError, match="made by a newer version"):
        Checkpoints(copy, keep=1).latest()
    assert names(copy) == ["step-000005", "step-000010"]


def test_all_bad_stops_and_goes_on_stopping(copy):
    for step in ("step-000005", "step-000010"):
        (copy / step / "state.json").unlink()
    for _ in range(2):
        with pytest.raises(UserError, match="no whole checkpoint is left"):
            Checkpoints(copy, keep=1).latest()
    assert names(copy) == [".bad-step-000005", ".bad-step-000010"]


def test_what_a_kill_left_is_swept(copy):
    for name in (".tmp-step-000015-77", ".del-step-000001"):
        (copy / name).mkdir()
        (copy / name / "model.safetensors").write_bytes(b"half")
    Checkpoints(copy, keep=1).sweep()
    assert names(copy) == ["step-000005", "step-000010"]


def test_a_rehearsal_leaves_nothing(tmp_path):
    made = checkpoints(tmp_path, steps=())
    made.rehearse(files(1), {"step": 1})
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("at_write", range(7))
def test_a_full_disk_at_any_write(tmp_path, monkeypatch, code, at_write):
    """Every write of the save in turn: nothing of it is left, the old one is whole, and the next save works."""
    made = checkpoints(tmp_path, keep=1, steps=(5,))
    monkeypatch.setattr(builtins, "open", open_that_fills_up(at_write, code))
    with pytest.raises(SaveError, match=r"needs [\d,]+ bytes, [\d,]+ are free in"):
        made.save(10, files(10), {"step": 10})
    assert names(tmp_path) == ["step-000005"]
    assert why_bad(tmp_path / "step-000005") is None
    monkeypatch.setattr(builtins, "open", open_that_fills_up(7, code))  # one write more than there are
    made.save(15, files(15), {"step": 15})
    assert names(tmp_path) == ["step-000015"]


def open_that_fills_up(at_write, code):
    writes = iter(range(10**6))
    real = builtins.open

    def limited(path, mode="r", *args, **kwargs):
        file = real(path, mode, *args, **kwargs)
        if "x" not in mode:
            return file
        inner = file.write

        class Limited:
            def __enter__(self):
                return self

            def __exit__(self, *exception):
                file.close()

            def __getattr__(self, name):
                return getattr(file, name)

            def write(self, data):
                if next(writes) == at_write:
                    raise OSError(code, os.strerror(code))
                return inner(data)

        return Limited()

    return limited


def test_too_small_a_disk_is_seen_before_writing(tmp_path, monkeypatch):
    made = checkpoints(tmp_path, steps=(5,))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 900, 100))
    monkeypatch.setattr(tensor_file, "write", lambda *_, **__: pytest.fail("wrote"))
    needed = sum(tensor_file.size_of(tensors) for tensors in files(10).values())
    with pytest.raises(SaveError, match=f"needs {needed:,} bytes, 100 are free"):
        made.save(10, files(10), {"step": 10})
    with pytest.raises(SaveError):
        made.rehearse(files(10), {"step": 10})


def test_a_disk_that_gives_back_something_else(tmp_path, monkeypatch):
    made = checkpoints(tmp_path, keep=1, steps=(5,))
    real = tensor_file.write

    def corrupting(path, tensors, **options):
        digest = real(path, tensors, **options)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return digest

    monkeypatch.setattr(tensor_file, "write", corrupting)
    with pytest.raises(RuntimeError, match="does not give back"):
        made.save(10, files(10), {"step": 10})
    assert names(tmp_path) == ["step-000005"]


def test_saving_a_step_that_is_there(tmp_path):
    """Kept when it is whole, set aside and replaced when it is not."""
    made = checkpoints(tmp_path)
    made.save(10, files(99), {"step": 99})
    saved, _ = made.latest()
    assert saved is not None
    assert saved.state() == {"step": 10}
    (saved.path / "state.json").write_text("{}")
    made.save(10, files(99), {"step": 99})
    saved, notes = made.latest()
    assert saved is not None
    assert (saved.state(), notes) == ({"step": 99}, [])
    assert ".bad-step-000010" in names(tmp_path)


def test_the_manifest_is_json_with_its_own_digest(tmp_path):
    checkpoints(tmp_path)
    *lines, own = (tmp_path / "step-000010" / "MANIFEST.json").read_text().splitlines()
    body = json.loads("\n".join(lines))
    assert body["format"] == 1
    assert set(body["files"]) == set(FILES[:3])
    assert len(own) == 64


@pytest.fixture
def syncs(monkeypatch):
    """What reaches the disk for good, and the renames, in order."""
    events = []
    real = os.fsync, os.rename

    def fsync(descriptor):
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real[0](descriptor)

    def rename(old, new):
        events.append(f"-> {Path(new).name}")
        real[1](old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    return events


def test_all_is_on_disk_before_the_name_is(tmp_path, syncs):
    """Files and their folder, then the new name, then the parent; and only then an older one goes."""
    folder = tmp_path / "checkpoints"
    checkpoints(folder, keep=1, steps=(5,))
    syncs.clear()
    checkpoints(folder, keep=1, steps=(10,))
    *files, beside, named, parent, gone = syncs
    assert files == list(FILES)
    assert beside.startswith(".tmp-step-000010")
    assert (named, parent, gone) == ("-> step-000010", "checkpoints", "-> .del-step-000005")
