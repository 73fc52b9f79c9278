"""The command line: runs a verb, and turns every error a user can mend into one line and exit status 2."""

import errno
import gc
import os
import re
import signal
import sys
import warnings
from pathlib import Path
from typing import TextIO

import typer

from afterbert.base.errors import UserError
from afterbert.base.visible import visible_line
from afterbert.cli.commands import build_app
from afterbert.training.process_setup import set_up_process

# Typer brings its own copy of click; what its parser raises descends from this class.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


_LONGEST_LINE = 2000


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 a bug (with traceback), 2 a user's error (one line each)."""
    if arguments is None:
        leave_old_encodings()
    warnings.showwarning = _noted
    status = run(arguments)
    gc.freeze()  # else Python, as it ends, walks several times over all that PyTorch made: 0.4 s of processor time
    sys.exit(status)


def run(arguments: list[str] | None = None) -> int:
    """Returns the exit status of a command line."""
    rank = os.environ.get("RANK") or os.environ.get("SLURM_PROCID")
    if rank is not None:  # torch's remarks on its own settings would come once for each process
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        set_up_process()
        status = build_app()(args=arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except UserError as error:
        lines = error.lines
    except typer.Exit as leave:
        return leave.exit_code
    except _UsageError as error:
        lines = (f"{error.format_message().rstrip('.')} (--help shows what there is, with an example)",)
        lines = lines if rank in (None, "0") else ()  # each process of a launcher reads the same words
    except (typer.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as leave:  # of work that puts its halves away when a batch system sends SIGTERM
        if leave.code != 128 + signal.SIGTERM:
            raise
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGTERM
    except MemoryError:
        lines = ("memory ran out; free some, raise the limit (ulimit -v, or what a batch system grants), or take less",)
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        named = re.sub(r"\.tmp-\d+-", "", str(error.filename or ""))  # where it is written to first
        where = f"{named}: " if named else ""
        if error.errno in _DISK_FULL:
            lines = (
                f"the disk is full ({where}{error.strerror}); free some space, or write elsewhere, and start again: "
                "what was finished is kept",
            )
        elif error.errno in _FORBIDDEN and where:
            lines = (f"{where}{error.strerror}; change its rights, or name another place",)
        else:
            raise
    for line in lines:
        said = visible_line(line)
        if len(said) > _LONGEST_LINE:  # it quotes a value as long as a page, of which the ends are enough
            said = f"{said[: _LONGEST_LINE // 2]} ... {said[-_LONGEST_LINE // 2 :]}"
        print(f"error: {said}", file=sys.stderr)
    return 2


def _noted(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Shows a warning of ours as a note, without the line of code that gave it; others as Python does."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        print(f"note: {visible_line(str(message))}", file=sys.stderr)
        return
    (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


def leave_old_encodings() -> None:
    """Starts Python anew, where names of files are not UTF-8 to it (LC_ALL=C, Latin-1), in its UTF-8 mode.

    The libraries that read tokenizers and weights take names as UTF-8 only, so "Läufe" could be written and
    not read again. Python 3.15 has this mode by default (PEP 686).
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
