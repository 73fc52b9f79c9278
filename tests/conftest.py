"""For all tests: one thread a process, the processor unless a test asks for the GPU, and fp32 where a recipe leaves the
precision to the machine.

Tiny models gain nothing from more threads, two workers would fight for cores, and figures would depend on the number.
`precision: auto` takes bf16 on some processors; AFTERBERT_AUTO_PRECISION=bf16 runs the whole suite so.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator

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
