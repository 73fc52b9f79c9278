"""A compressed classifier beside what others make of the same fine-tuned model: size, accuracy, time of an answer.

    afterbert compress RUN --task sst2:DATA --with quantize --out int8
    afterbert export RUN fine-tuned
    python benchmarks/compression_peers.py fine-tuned --task DATA --ours int8 ... --threads 1

Each side gets sentences of dev and cuts them with the same fast tokenizer (model2vec with its own): one sentence at a
time, and 32 of like length together. Sides take turns, sentence after sentence, so that whatever else the machine does
meets all alike; told are medians of the time that transformers took by that of the side, and its middle half. Accuracy
is that of the 872 rows with a bootstrap interval. Peers, each as its documentation begins:

- transformers: the model in float32 under PyTorch;
- onnxruntime: the graph of `torch.onnx.export`, in float32 and through `quantize_dynamic`;
- openvino: that graph, in float32 and through `nncf.quantize` (300 training rows, the model type TRANSFORMER);
- model2vec: `distill` with 256 dimensions, and a logistic regression on the vectors of the training rows.

A peer whose package is not installed is left out (pip install openvino nncf "model2vec[distill]" scikit-learn).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

from afterbert.compression.latency import Machine
from cells import ROOT, write_between

Answer = Callable[[list[str]], np.ndarray]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "compression_peers.json", ROOT / "docs" / "compression.md"
LONGEST, CALIBRATING, TURNS = 128, 300, 40


def rows_of(path: Path) -> tuple[list[str], np.ndarray]:
    told = [line.rsplit("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [text for text, _ in told], np.array([int(label) for _, label in told])


class Cut:
    """Sentences -> arrays, as the model's own tokenizer.json cuts them."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def __call__(self, texts: list[str]) -> dict[str, np.ndarray]:
        found = self.tokenizer.encode_batch(texts)
        ids = np.array([one.ids for one in found], dtype=np.int64)
        mask = np.array([one.attention_mask for one in found], dtype=np.int64)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def in_transformers(folder: Path) -> Answer:
    model, cut = AutoModelForSequenceClassification.from_pretrained(folder).eval(), Cut(folder)

    def answer(texts: list[str]) -> np.ndarray:
        with torch.inference_mode():
            return model(**{name: torch.from_numpy(one) for name, one in cut(texts).items()}).logits.numpy()

    return answer


def in_onnxruntime(graph: Path, folder: Path, threads: int) -> Answer:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    names, cut = {one.name for one in session.get_inputs()}, Cut(folder)

    def answer(texts: list[str]) -> np.ndarray:
        return session.run(None, {name: one for name, one in cut(texts).items() if name in names})[0]

    return answer


def exported(folder: Path, path: Path) -> Path:
    model, arrays = AutoModelForSequenceClassification.from_pretrained(folder).eval(), Cut(folder)(["a b c", "d e"])
    told = {name: torch.from_numpy(one) for name, one in arrays.items()}
    shape = {0: torch.export.Dim("rows"), 1: torch.export.Dim("pieces")}
    shapes: Any = dict.fromkeys(told, shape)
    torch.onnx.export(model, (), str(path), kwargs=told, dynamic_shapes=shapes, dynamo=True, external_data=False)
    return path


def in_openvino(graph: Path, folder: Path, threads: int, texts: list[str] | None = None) -> tuple[Answer, Any]:
    """texts: of training, by which NNCF finds the ranges of activations; None leaves it in float32."""
    import nncf
    import openvino

    model, cut = openvino.convert_model(str(graph)), Cut(folder)
    names = {one.any_name for one in model.inputs}
    if texts is not None:
        data = nncf.Dataset(texts, lambda text: {name: a for name, a in cut([text]).items() if name in names})
        model = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(texts))
    compiled = openvino.compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def answer(texts: list[str]) -> np.ndarray:
        return compiled({name: one for name, one in cut(texts).items() if name in names})[0]

    return answer, model


def in_model2vec(folder: Path, texts: list[str], labels: np.ndarray, out: Path) -> Answer:
    from model2vec.distill import distill
    from sklearn.linear_model import LogisticRegression

    model = distill(str(folder), pca_dims=256, device="cpu")
    model.save_pretrained(str(out))
    head = LogisticRegression(max_iter=1000).fit(model.encode(texts), labels)
    return lambda texts: head.predict_proba(model.encode(texts))


def size_of(*paths: Path) -> int:
    return sum(one.stat().st_size for path in paths for one in ([path] if path.is_file() else path.rglob("*")))


def sides_of(given: argparse.Namespace, work: Path) -> Iterator[tuple[str, int, Answer]]:
    folder, threads = given.model, given.threads
    texts, labels = rows_of(given.task / "train.tsv")
    yield "transformers, float32", size_of(folder / "model.safetensors"), in_transformers(folder)
    graph = exported(folder, work / "plain.onnx")
    yield "ONNX Runtime, float32", size_of(graph), in_onnxruntime(graph, folder, threads)
    quantize_dynamic(graph, work / "int8.onnx", weight_type=QuantType.QInt8)
    yield "ONNX Runtime, int8", size_of(work / "int8.onnx"), in_onnxruntime(work / "int8.onnx", folder, threads)
    if importlib.util.find_spec("openvino") and importlib.util.find_spec("nncf"):
        import openvino

        for name, calibrating in (("float32", None), ("int8 by NNCF", texts[:CALIBRATING])):
            answer, model = in_openvino(graph, folder, threads, calibrating)
            openvino.save_model(model, work / "ov.xml", compress_to_fp16=False)
            yield f"OpenVINO, {name}", size_of(work / "ov.bin"), answer
    if importlib.util.find_spec("model2vec"):
        answer = in_model2vec(folder, texts, labels, work / "static")
        yield "model2vec", size_of(work / "static" / "model.safetensors"), answer
    for one in given.ours:
        yield f"ours: {one.name}", size_of(one / "model.onnx"), in_onnxruntime(one / "model.onnx", one, threads)


def timed(answers: dict[str, Answer], batches: list[list[str]]) -> dict[str, list[float]]:
    """Seconds of each side for each batch, all sides in turn."""
    for answer in answers.values():
        for batch in batches[:3]:
            answer(batch)
    found: dict[str, list[float]] = {name: [] for name in answers}
    for batch in batches:
        for name, answer in answers.items():
            before = time.perf_counter()
            answer(batch)
            found[name].append(time.perf_counter() - before)
    return found


def interval(hits: np.ndarray) -> list[float]:
    draw = np.random.default_rng(0)
    means = hits[draw.integers(len(hits), size=(2000, len(hits)))].mean(1)
    return [100 * float(one) for one in (hits.mean(), *np.quantile(means, (0.025, 0.975)))]


def table(told: dict[str, Any]) -> str:
    lines = ["| side | on disk | accuracy | speed, a sentence | speed, 32 sentences |", "|---|---|---|---|---|"]
    for name, one in told["sides"].items():
        speeds = (f"{_times(a)}x ({_times(b)} to {_times(c)})" for a, b, c in (one["one"], one["many"]))
        accuracy = "{:.1f} ({:.1f} to {:.1f})".format(*one["accuracy"])
        lines.append(f"| {name} | {one['bytes'] / 1e6:.1f} MB | {accuracy} | {' | '.join(speeds)} |")
    threads = "one thread" if told["threads"] == 1 else f"{told['threads']} threads"
    return "\n".join([*lines, "", f"On {threads} of {told['processor']}."])


def _times(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the fine-tuned model as transformers loads it")
    parser.add_argument("--task", type=Path, required=True, help="folder with train.tsv and dev.tsv: text, tab, label")
    parser.add_argument("--ours", type=Path, nargs="*", default=[], help="folders that `compress` made")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "compression_peers")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    texts, labels = rows_of(given.task / "dev.tsv")
    sides = {name: (size, answer) for name, size, answer in sides_of(given, given.work)}
    answers = {name: answer for name, (_, answer) in sides.items()}
    by_length = sorted(texts, key=len)
    singles = [[by_length[at]] for at in np.linspace(0, len(texts) - 1, 5 * TURNS).astype(int)]
    many = [by_length[at : at + 32] for at in np.linspace(0, len(texts) - 32, TURNS).astype(int)]
    seconds = {"one": timed(answers, singles), "many": timed(answers, many)}
    reference, found = next(iter(answers)), {}
    for name, (size, answer) in sides.items():
        right = np.concatenate([answer([text]).argmax(1) for text in texts]) == labels
        found[name] = {"bytes": size, "accuracy": interval(right)}
        for key, taken in seconds.items():
            ratios = np.array(taken[reference]) / np.array(taken[name])
            found[name][key] = [float(one) for one in np.quantile(ratios, (0.5, 0.25, 0.75))]
    told = {"processor": Machine.here().processor, "threads": given.threads, "sides": found}
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(table(told))
    write_between(PAGE, "peers", table(told))


if __name__ == "__main__":
    main()
