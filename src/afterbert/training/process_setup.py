"""Settings of this process that make training fast, for the command line, for Python and for benchmarks alike."""

import os
import sys
import time
from pathlib import Path

from afterbert.base.errors import UserError

# Share of the cores that others already use, over the last minute and still now, from which the machine counts as busy.
_BUSY = 0.6
_LOOK = 0.1  # seconds; only where the last minute was busy


def set_up_process() -> None:
    """Makes this process ready to train. Safe to call twice; best called before torch is imported.

    Raises UserError on Windows, which has no POSIX locks: two writers of one run could not be told apart.
    """
    if sys.platform == "win32":
        raise UserError("afterbert runs on Linux and macOS; on Windows, start it inside WSL (`wsl --install`)")
    share_cores_politely()
    keep_memory_between_steps()


def share_cores_politely() -> None:
    """Tells GNU OpenMP's threads to sleep while they wait for each other, on a busy machine.

    By default they spin, which is a third faster on a quiet machine; where another program wants the cores, a
    spinning thread holds up the very thread that it waits for, and training is several times slower (figures in
    docs/log.md). The user's own setting stands. It has no effect once torch is imported.
    """
    if "OMP_WAIT_POLICY" in os.environ or not hasattr(os, "getloadavg"):
        return
    if os.getloadavg()[0] > _BUSY * (os.cpu_count() or 1) and share_in_use() > _BUSY:
        os.environ.setdefault("GOMP_SPINCOUNT", "0")


def share_in_use() -> float:
    """Returns the share of the cores' time that is spent while this process sleeps for a moment: an installation that
    has ended still counts in the last minute's load. It is 1 when the system does not tell (Linux does)."""
    before = _core_time()
    time.sleep(_LOOK)
    after = _core_time()
    spent = [late - early for early, late in zip(before, after)]
    return 1 - sum(spent[3:5]) / sum(spent) if sum(spent) > 0 else 1.0  # idle, and waiting for disks


def _core_time() -> list[int]:
    """Clock ticks of all cores by what they did, as in proc(5)."""
    try:
        return [int(one) for one in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return []


def keep_memory_between_steps() -> None:
    """Tells glibc to keep freed memory for the next step instead of returning it to the kernel page by page.

    Training allocates the same large temporaries every step; with the default thresholds each is mapped and
    zeroed anew. Thresholds are those of mallopt(3): M_MMAP_THRESHOLD -3, M_TRIM_THRESHOLD -1. No effect
    where the C library is another.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(-3, 1 << 30)
    mallopt(-1, (1 << 31) - 1)
