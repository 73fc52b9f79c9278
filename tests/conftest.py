"""For all tests: one thread a process, the processor unless a test asks for the GPU, and fp32 where a recipe leaves the
precision to the machine.

Tiny models gain nothing from more threads, two workers would fight for cores, and figures would depend on the number.
`precision: auto` takes bf16 on some processors; AFTERBERT_AUTO_PRECISION=bf16 runs the whole suite so.
"""

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.setdefault("AFTERBERT_AUTO_PRECISION", "fp32")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# How long an example takes says more of the machine than of the code. The gate draws the same examples each time, so
# that what it says depends on the commit alone; `make check` draws fewer, and `make fuzz` looks for new ones.
settings.register_profile("afterbert", deadline=None, derandomize=True)
settings.register_profile("check", deadline=None, derandomize=True, max_examples=20)
settings.register_profile("search", deadline=None, max_examples=400)
settings.load_profile("afterbert")

# What is imported and collected stays to the end: to search it for garbage again and again took a sixth of all time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


_TIMES = Path(__file__).parent / "seconds.txt"
_MEASURED: Counter[str] = Counter()
_SLOW: set[Path] = set()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--within", type=float, help="only the quickest files, as many as take so many seconds together")
    parser.addoption("--measure", action="store_true", help=f"write {_TIMES.name}, by which --within chooses")


def pytest_configure(config: pytest.Config) -> None:
    _SLOW.update(_slow_files(config.getoption("--within")))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path in _SLOW else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _MEASURED[report.nodeid.partition("::")[0]] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--measure") and not hasattr(session.config, "workerinput"):
        lines = [
            f"{seconds:.2f} {file}" for file, seconds in sorted(_MEASURED.items(), key=lambda one: (one[1], one[0]))
        ]
        _TIMES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _slow_files(within: float | None) -> set[Path]:
    """The files that are too much for so many seconds; one that was never measured is none of them."""
    if within is None or not _TIMES.exists():
        return set()
    spent, slow = 0.0, set()
    for line in _TIMES.read_text(encoding="utf-8").splitlines():  # the quickest first
        seconds, file = line.split(" ", 1)
        spent += float(seconds)
        if spent > within:
            slow.add(_TIMES.parent.parent / file)
    return slow


@pytest.fixture(scope="session", autouse=True)
def no_gpu() -> Iterator[Callable[[], int] | None]:
    """Lets `default_device` find none; gives the function that would."""
    torch = sys.modules.get("torch")
    with pytest.MonkeyPatch.context() as patch:
        found = torch.cuda.device_count if torch else None
        if torch:
            patch.setattr(torch.cuda, "device_count", lambda: 0)
        yield found


@pytest.fixture(autouse=True)
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, no_gpu: Callable[[], int] | None) -> None:
    """Lets tests that are about GPUs find them again."""
    if request.node.get_closest_marker("gpu"):
        monkeypatch.setattr(sys.modules["torch"].cuda, "device_count", no_gpu)
