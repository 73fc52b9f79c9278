"""For all tests: one thread a process. Tiny models gain nothing from more, and two workers would fight for cores."""

import gc
import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# How long an example takes says more of the machine than of the code. `make check` draws fewer of them.
settings.register_profile("afterbert", deadline=None)
settings.register_profile("check", deadline=None, max_examples=20)
settings.load_profile("afterbert")

# What is imported and collected stays to the end: to search it for garbage again and again took a sixth of all time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
