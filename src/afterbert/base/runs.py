"""Run folders: everything a run leaves behind (`run_files` lists it), and the lock that lets one process write."""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from afterbert.base.errors import UserError
from afterbert.base.run_files import RUN_FILES, no_folder

State = Literal["starting", "measuring", "training", "evaluating", "saving", "finished", "preempted", "failed"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_STATUS_EVERY = 0.5  # seconds between two writes of the same state


def check_name(name: str) -> str:
    """Returns `name` itself if it can name a run on any file system. Raises UserError.

    >>> check_name("bert-2.seed_1")
    'bert-2.seed_1'
    >>> check_name("../bert")
    Traceback (most recent call last):
    afterbert.base.errors.UserError: run name '../bert' may hold only letters, digits, '.', '_' and '-', and not
    begin with '.' or '-'
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"run name {name!r} may hold only letters, digits, '.', '_' and '-', and not begin with '.' or '-'"
        )
    return name


def explain_exit(returncode: int) -> str:
    """Puts a child process's return code into words, for the parent's report.

    >>> explain_exit(-9)
    'killed by signal 9 (SIGKILL), most likely by the system for want of memory; try a smaller batch or model'
    >>> explain_exit(143), explain_exit(2), explain_exit(0)
    ('stopped by signal 15 (SIGTERM)', 'a mistake in the request; its last line says which', 'finished')
    """
    number = -returncode if returncode < 0 else returncode - 128
    if number == signal.SIGKILL:
        guess = "most likely by the system for want of memory; try a smaller batch or model"
        return f"killed by signal 9 (SIGKILL), {guess}"
    if number in {int(known) for known in signal.Signals}:
        return f"stopped by signal {number} ({signal.Signals(number).name})"
    named = {0: "finished", 2: "a mistake in the request; its last line says which"}
    return named.get(returncode, f"failed with exit status {returncode}")


def write_atomically(path: Path, text: str, *, sync: bool = False) -> None:
    """Writes a file so that afterwards either the whole text or nothing stands at `path`; `sync` makes it survive a
    power failure too. Raises OSError."""
    with replacing(path) as beside, open(beside, "w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    if sync:
        make_durable(path.parent)


def copy_whole(source: Path, path: Path) -> None:
    """Copies a file's content; the whole of it or nothing stands at `path` afterwards. Raises OSError."""
    with replacing(path) as beside:
        shutil.copyfile(source, beside)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a place beside `path`; the file written there comes to stand at `path` when it is whole, and goes after an
    error."""
    beside = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def make_durable(path: Path) -> None:
    """Makes what a file holds, or the names in a folder (new, renamed, removed), survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Status:
    """The present state of a run, as status.json holds it. `phase` is the verb at work (pretrain, finetune, ...),
    `state` where it stands in it."""

    state: State = "starting"
    phase: str = ""
    step: int = 0
    total_steps: int | None = None
    message: str = ""
    pid: int = 0
    host: str = ""
    updated: float = 0.0


class RunFolder:
    """One run's folder. Reading needs nothing; writers hold `locked()`.

    Make one by `create` (a new or existing folder below a root) or `open` (an existing one). kind: what messages
    about its lock call it.
    """

    def __init__(self, path: Path, *, kind: str = "run folder"):
        self.path, self._kind = path, kind
        self.recipe = path / "recipe.yaml"
        self.course = path / "course.json"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"
        self.diagnosis = path / "diagnosis"
        self.metrics = Metrics(path / "metrics.jsonl")
        self._status = path / "status.json"
        self._lock = path / ".lock"
        self._held = 0
        self._reported: Status | None = None

    @property
    def has_learned(self) -> bool:
        """Whether an update of weights was written down."""
        return any(record["kind"] == "step" for record in self.metrics.read())

    @classmethod
    def create(cls, root: Path, name: str) -> RunFolder:
        """Returns the folder `root/name`, made where it is missing. Raises UserError for a bad name, for one that leads
        out of `root`, and for a folder that holds something other than a run."""
        path = Path(root) / check_name(name)
        if path.resolve().parent != Path(root).resolve():
            raise UserError(f"run folder {path} is a link that leads out of {root}; remove it or choose another name")
        run = cls(path)
        inside = sorted(path.iterdir()) if path.is_dir() else []
        # Asked after looking, as another process of the same run may begin it meanwhile; a run whose checkpoints were
        # lost says so itself.
        is_begun = run.checkpoints.is_dir() or run.course.is_file()
        strange = [] if is_begun else inside
        strange += [one for one in run.checkpoints.glob("*") if not re.match(r"step-|\.", one.name)]
        if strange:
            raise UserError(f"{path} is no run that afterbert made (it holds {strange[0].name}); choose another name")
        try:
            run.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"run folder {path} cannot be made: {error.strerror}; choose another place") from error
        return run

    @contextmanager
    def unless_refused(self) -> Iterator[None]:
        """Removes what was written when the block refuses the run before it has begun."""
        try:
            yield
        except UserError:
            with suppress(UserError), self.locked():  # unless another process is beginning it
                if not self.course.exists():
                    for name in RUN_FILES:
                        with suppress(OSError):  # folders stay
                            (self.path / name).unlink()
            with suppress(OSError):
                self.checkpoints.rmdir()
                self.path.rmdir()
            raise

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Returns an existing run folder. Raises UserError if there is none."""
        if not Path(path).exists():
            raise UserError(no_folder(path, "name one that `afterbert pretrain` made"))
        if not (Path(path) / "checkpoints").is_dir():
            raise UserError(
                f"{path} is no run folder (it has no checkpoints/); name one that `afterbert pretrain` made"
            )
        return cls(Path(path))

    @contextmanager
    def locked(self) -> Iterator[str | None]:
        """Holds the folder for this process; may be nested. Gives a note when the last holder died without
        letting go, else None.

        Raises UserError naming the other process when the folder is held. The lock is the kernel's (flock),
        so it ends with its process; the file's text only tells who.
        """
        if self._held:
            self._held += 1
            try:
                yield None
            finally:
                self._held -= 1
            return
        descriptor = self._open_lock()
        try:
            note = self._take(descriptor)
            self._held = 1
            try:
                self._sweep()
                yield note
            finally:
                self._held = 0
                os.ftruncate(descriptor, 0)
                self._lock.unlink(missing_ok=True)  # while it is held, so that nobody else's goes
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Removes the files that a killed process had not finished writing."""
        for left in self.path.glob(".tmp-*"):
            if left.is_file():
                left.unlink()

    def _open_lock(self) -> int:
        try:
            return os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(
                f"{self._kind} {self.path} cannot be written: {error.strerror}; make it writable or copy it"
            ) from error

    def _take(self, descriptor: int) -> str | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{self._kind} {self.path} is being written by {_holder(descriptor)}; "
                "wait for it, stop it, or take another name"
            ) from error
        if not _is_at(descriptor, self._lock):
            raise UserError(
                f"{self._kind} {self.path} was released by another process this very moment; start this again"
            )
        before = _holder(descriptor)
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(mine).encode(), 0)
        if not before:
            return None
        return f"the last writer, {before}, ended without letting go; its lock was taken over"

    def report(self, **changed: Any) -> None:
        """Changes these fields of the status and writes it; the same state at most twice a second.

        Raises OSError if the folder is gone or can no longer be written: a run without its folder must end.
        """
        before = self._reported or replace(self.status() or Status(), pid=os.getpid(), host=socket.gethostname())
        now = replace(before, updated=time.time(), **changed)
        moved = replace(now, step=0, updated=0.0) != replace(before, step=0, updated=0.0)
        since = now.updated - before.updated  # negative where the clock was set back
        if self._reported and not moved and 0 <= since < _STATUS_EVERY:
            return
        try:
            write_atomically(self._status, json.dumps(asdict(now), indent=1) + "\n")
        except OSError as error:
            raise _lost(self.path, error) from error
        self._reported = now

    def status(self) -> Status | None:
        """Returns the last status written; None if there is none or it cannot be read. It is not for resuming."""
        try:
            found = json.loads(self._status.read_text(encoding="utf-8"))
            return Status(**{name: found[name] for name in Status.__dataclass_fields__ if name in found})
        except (OSError, ValueError, TypeError):
            return None


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that stands at `path`: its last holder removes it when it lets go."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lost(folder: Path, error: OSError) -> OSError:
    return OSError(error.errno, f"run folder {folder} is gone or can no longer be written: {error.strerror}")


def _holder(descriptor: int) -> str:
    """Who wrote the lock file, in words; empty if nobody did."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return "an unknown process"
    return f"process {found.get('pid')} on {found.get('host')} since {found.get('since')}" if found else ""


class Metrics:
    """`metrics.jsonl`: append-only, each record flushed as one line. Every record has `kind` and `step`.

    Numbers keep every bit (repr); JSON has no NaN or infinity, so these are written as the strings "nan",
    "inf", "-inf".
    """

    def __init__(self, path: Path):
        self.path = path

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds one line; it is whole in the file when this returns. Raises OSError."""
        line = json.dumps(_speakable(record), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise _lost(self.path.parent, error) from error

    def sync(self) -> None:
        """Makes all lines survive a power failure; done before a checkpoint counts."""
        if self.path.exists():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """Returns all whole records, without a torn last line. Raises UserError for a broken line before the last."""
        if not self.path.exists():
            return []
        *lines, torn = self.path.read_bytes().split(b"\n")
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                if "kind" not in record or not isinstance(record["step"], int):
                    raise ValueError("no record")
                records.append(record)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                if number == len(lines) and not torn:  # the end of the file, half on disk when the power went
                    break
                raise UserError(
                    f"{self.path}:{number} is no record of a run; the file was changed by hand or damaged"
                ) from error
        return records

    def trim(self, step: int, *, without: tuple[str, ...] = ()) -> int:
        """Forgets every record after `step`, those of the kinds `without` also at `step`, and a torn last line.

        So a resumed run has no record twice. Returns how many whole records were dropped.
        """
        records = self.read()
        kept = [r for r in records if r["step"] < step or (r["step"] == step and r["kind"] not in without)]
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
        if self.path.exists() and self.path.read_bytes() != text.encode():
            write_atomically(self.path, text, sync=True)
        return len(records) - len(kept)


def _speakable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _speakable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_speakable(inner) for inner in value]
    return value
