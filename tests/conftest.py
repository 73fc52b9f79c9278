"""For all tests: one thread a process, and fp32 where a recipe leaves the precision to the machine.

Tiny models gain nothing from more threads, two workers would fight for cores, and figures would depend on the number.
`precision: auto` takes bf16 on some processors; AFTERBERT_AUTO_PRECISION=bf16 runs the whole suite so.
"""

import gc
import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ.setdefault("AFTERBERT_AUTO_PRECISION", "fp32")
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
