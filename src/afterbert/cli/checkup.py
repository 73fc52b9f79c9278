"""The checks of `afterbert doctor`."""

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from afterbert import __version__
from afterbert.base.extras import missing
from afterbert.training.devices import default_device
from afterbert.training.precision import choose
from afterbert.workflows.memory import machine_memory

# What each extra is for, and what it brings.
_EXTRAS = {
    "data": ("Parquet, .zst and data sets of the hub", ("pyarrow", "zstandard", "datasets")),
    "zh": ("words of Chinese", ("rjieba",)),
    "icu": ("words of Thai, Khmer, Lao, Burmese and Japanese", ("icu",)),
    "dedup": ("near duplicates", ("rensa",)),
    "languages": ("translation memories and .po files", ("translate",)),
    "onnx": ("ONNX graphs, compress --with quantize", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": ("compress --with openvino", ("openvino", "nncf", "onnx", "onnxscript", "onnxruntime")),
    "mt": ("BLEU", ("sacrebleu",)),
    "play": ("the playground and the server", ("starlette", "uvicorn")),
    "track": ("TensorBoard", ("tensorboard",)),
    "mlflow": ("MLflow", ("mlflow",)),
    "ray": ("clusters by Ray", ("ray",)),
}
_GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """One line. is_needed: whether afterbert cannot work while it is not good."""

    what: str
    found: str
    is_good: bool = True
    is_needed: bool = False


def findings() -> Iterator[Finding]:
    """Yields what is worth knowing about this machine before a long run."""
    yield Finding(
        "afterbert", f"{__version__} on Python {platform.python_version()}", sys.version_info >= (3, 11), True
    )
    for name in ("torch", "transformers", "tokenizers", "numpy"):
        yield Finding(name, importlib.metadata.version(name))
    yield Finding("processor", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch")
    memory = machine_memory(torch.device("cpu")) / _GIGABYTE
    yield Finding("memory", f"{memory:.1f} GB", memory > 3)
    has_gpu = torch.cuda.is_available()
    yield Finding("accelerator", torch.cuda.get_device_name(0) if has_gpu else "none; training runs on the processor")
    device = default_device()
    precision = choose("auto", device)
    where = "processor" if device.type == "cpu" else "accelerator"
    yield Finding("precision", f"{precision.name} on this {where}: {precision.reason}")
    yield Finding("multiply speed", _multiply_speed())
    free = shutil.disk_usage(".").free / _GIGABYTE
    yield Finding("disk here", f"{free:.1f} GB free", free > 2)
    for extra, (use, packages) in _EXTRAS.items():
        absent = missing(*packages)
        # Nobody needs all of them: one that is not there is no fault.
        said = f'{", ".join(absent)} missing; pip install "afterbert[{extra}]"' if absent else "installed"
        yield Finding(f"extra {extra}", f"{use}: {said}")


def _multiply_speed(size: int = 1024, seconds: float = 0.5) -> str:
    """GFLOP/s of square matrix products in both precisions, each the best of a few."""
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(size, size, dtype=dtype)
        best, until = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < until:
            begun = time.perf_counter()
            matrix @ matrix
            best = min(best, time.perf_counter() - begun)
        found.append(f"{2 * size**3 / best / 1e9:,.0f} GFLOP/s in {str(dtype).removeprefix('torch.')}")
    return ", ".join(found)
