"""`compress` from end to end: figures, the gate, refusals before any work, and a kill in the middle."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from small_models import SIZES, answering, outputs, setting_for

import afterbert as ab
from afterbert.api.compressing import carry_out_compression
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.cli.main import run
from afterbert.compression.chain import parse
from afterbert.compression.latency import Latency
from afterbert.compression.measuring import Examination, Quality
from afterbert.compression.methods.magnitude import Magnitude
from afterbert.compression.subject import Subject
from afterbert.downstream.metrics.matthews import Matthews
from afterbert.downstream.metrics.squared_error import SquaredError
from afterbert.interop.graph_folder import Graph
from afterbert.models.decoder import Decoder
from afterbert.workflows.compression import CompressRequest, prepare_compression
from afterbert.workflows.compression_search import search
from afterbert.workflows.observer import WorkObserver
from invented_examples import invented

CHAINS = [(parse("layers:3"),), (parse("layers:2"), parse("magnitude")), (parse("layers:1"),)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compressing")
    answering(folder)
    return folder / "model"


@pytest.fixture
def rows(model: Path, tmp_path: Path) -> str:
    """The task's invented rows as files."""
    tuned = Subject.read(model).tuned
    assert tuned is not None
    (tmp_path / "rows").mkdir()
    lines = [json.dumps({"text": row.texts[0], "label": row.label}) for row in invented(tuned.tasks["toy"])]
    for split in ("train", "dev"):
        (tmp_path / "rows" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return f"toy:{tmp_path / 'rows'}"


def test_steps_are_measured_and_the_last_model_is_written(model: Path, rows: str, tmp_path: Path) -> None:
    out = tmp_path / "ä smaller"
    arguments = ["compress", str(model), "--with", "layers:keep=3", "--with", "heads:0.3", "--task", rows]
    assert run([*arguments, "--out", str(out), "--no-timing"]) == 0
    told = json.loads((out / "compression.json").read_text())
    before, layers, heads = told["rows"]
    assert (before["method"], layers["method"], heads["method"]) == ("", "layers:keep=3", "heads:share=0.3")
    assert before["parameters"] > layers["parameters"] > heads["parameters"]
    assert before["quality"]["kept"] == 1.0 and before["quality"]["change"]["estimate"] == 0.0
    assert heads["control"]["rows"] == heads["quality"]["rows"] == before["quality"]["rows"]
    assert "none is better" not in (out / "report.md").read_text()
    assert "Latencies" not in (out / "report.md").read_text(), "none were measured"
    assert "heads:share=0.3" in (out / "report.html").read_text()
    assert not list(tmp_path.glob(".compress-*")), "what was kept for a kill is gone"
    assert ab.load(out).predict(["good food"])[0].value in ("positive", "negative")


@pytest.mark.parametrize("method", ["quantize", "quantize:static", "quantize:none", "bits:8", "static", "openvino"])
def test_a_finished_graph_is_measured_scored_and_asked(
    model: Path,
    rows: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    if method == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    monkeypatch.chdir(tmp_path)
    arguments = ["compress", str(model), "--with", method, "--task", rows, "--out", str(tmp_path / "graph")]
    assert run([*arguments, "--no-timing"]) == 0, capfd.readouterr().err
    _, after = json.loads((tmp_path / "graph" / "compression.json").read_text())["rows"]
    if method == "bits:8":
        assert b"token_quantized" in (tmp_path / "graph" / "model.onnx").read_bytes(), "the table of pieces too"
    assert run(["score", str(tmp_path / "graph"), "--task", f"{rows}/dev.jsonl"]) == 0, capfd.readouterr().err
    (scored,) = (tmp_path / "runs").glob("score-toy-*/results.json")
    assert f'"estimate": {after["quality"]["score"]["estimate"]}' in scored.read_text()
    assert ab.load(tmp_path / "graph").predict(["good food"])[0].value in ("positive", "negative")
    assert run(["export", str(tmp_path / "graph"), str(tmp_path / "again")]) == 2
    assert "graph is a finished graph: it answers its task" in capfd.readouterr().err
    assert run(["compress", str(tmp_path / "graph"), "--with", "layers:1", "--out", str(tmp_path / "again")]) == 2
    assert "graph is a finished graph: it answers its task" in capfd.readouterr().err


def test_a_graph_of_openvino_says_what_it_lacks(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = {"openvino_model.xml": b"<net/>"}
    subject = Subject.read(model)
    subject.finished(Graph(b"weights", 1, 1, beside=beside, runtime="openvino")).write(tmp_path / "graph")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"pip install 'afterbert\[openvino\]'"):
        ab.load(tmp_path / "graph").predict(["good food"])
    (tmp_path / "graph" / "openvino_model.xml").unlink()
    with pytest.raises(UserError, match="has no openvino_model.xml, which belongs to openvino_model.bin"):
        ab.load(tmp_path / "graph")


def test_of_one_file_the_rows_that_fine_tuning_holds_out_judge(
    model: Path, rows: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = (tmp_path / "rows" / "dev.jsonl").read_text().splitlines()
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "seed-0").symlink_to(model.parent)  # as `finetune` leaves it
    many = [line.replace('"text": "', f'"text": "{number} ') for number in range(8) for line in lines]
    (tmp_path / "lone.jsonl").write_text("\n".join(many))
    arguments = [
        "compress",
        str(tmp_path / "tuned"),
        "--task",
        f"toy:{tmp_path}/lone.jsonl",
        "--no-timing",
        "--no-controls",
    ]
    assert run([*arguments, "--with", "layers:2", "--with", "retrain:steps=1", "-o", str(tmp_path / "learned")]) == 0
    said = capfd.readouterr()
    assert "of 64 training rows are held out as one" in said.out
    assert "held out, step" not in said.out + said.err, "no figure on rows that were learned from"
    kept = json.loads((tmp_path / "learned" / "heads.json").read_text())["columns"]
    assert kept == {"toy": {"text": "opinion"}}, "columns of the training file are known still"
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "train.jsonl").write_text("\n".join(many))
    (tmp_path / "alone" / "test.jsonl").write_text("\n".join(line.partition(', "label"')[0] + "}" for line in many))
    request = CompressRequest(str(model), ("layers:2",), tmp_path / "none", task=f"toy:{tmp_path}/lone.jsonl")
    one, folder = (prepare_compression(replace(request, task=f"toy:{tmp_path}/{at}")) for at in ("lone.jsonl", "alone"))
    texts = [[row.texts for row in found.examination.rows] for found in (one, folder) if found.examination]
    assert texts[0] == texts[1], "the same rows as of one file, where the test rows have no labels"
    lone = ["compress", str(model), "--task", f"{rows}/dev.jsonl", "--no-timing"]
    assert run([*lone, "--with", "retrain:steps=1", "-o", str(tmp_path / "none")]) == 2
    assert "there are no training rows to learn from; name a folder" in capfd.readouterr().err


@pytest.mark.parametrize("method", ["quantize:none", "bits:8", "static:width=8"])
def test_of_several_tasks_a_graph_holds_the_one_that_is_judged(method: str, rows: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    subject = answering(tmp_path / "two", other="regression")
    request = CompressRequest(
        str(tmp_path / "two" / "model"), (method,), tmp_path / "out", task=rows, answered_as="toy", timed=False
    )
    before, after = carry_out_compression(request).rows
    assert after.parameters < before.parameters == subject.num_parameters()
    graph = Subject.read(tmp_path / "out")
    assert graph.tuned is not None and list(graph.tuned.tasks) == ["toy"]
    setting = setting_for(subject, tmp_path / "scratch")
    assert outputs(graph, setting).shape == outputs(subject, setting).shape
    if method == "quantize:none":
        assert (outputs(graph, setting) - outputs(subject, setting)).abs().max() < 1e-4
    if method != "static:width=8":
        with pytest.raises(UserError, match="but the model answers 2 tasks; name rows of one with --task"):
            prepare_compression(replace(request, task=None, answered_as=None))


def test_vectors_without_a_task_do_not_claim_to_answer_one(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    done = ab.compress(model, "static:width=8", out=tmp_path / "out", timed=False)
    assert Subject.read(done.path).tuned is None
    with pytest.raises(UserError, match="is a finished graph"):
        ab.load(done.path).encode("good food")


@pytest.mark.parametrize("method", ["heads", "retrain", "vocabulary", "quantize:static", "static"])
def test_without_training_rows_nothing_is_begun(method: str, model: Path, rows: str, tmp_path: Path) -> None:
    (tmp_path / "rows" / "train.jsonl").rename(tmp_path / "lone.jsonl")
    request = CompressRequest(str(model), ("layers:2", method), tmp_path / "out", task=f"toy:{tmp_path}/lone.jsonl")
    with pytest.raises(UserError, match="there are no training rows to learn from; name a folder"):
        prepare_compression(replace(request, split="all"))
    assert prepare_compression(replace(request, methods=("layers:2", "heads:0.3,by=chance"), split="all"))


def test_of_a_score_of_nothing_no_share_is_kept(model: Path) -> None:
    """Matthews is 0 where all answers are alike."""
    tuned = Subject.read(model).tuned
    assert tuned is not None
    task = replace(tuned.tasks["toy"], metrics=(Matthews(),))  # type: ignore[call-arg]
    subject = Subject(tuned.model, replace(tuned, tasks={"toy": task}))
    rows = invented(task)
    alike, right = [rows[0].label] * len(rows), [row.label for row in rows]
    wrong = [next(label for label in right if label != one) for one in right]
    examination = Examination("toy", rows, before=alike)
    assert [examination.quality(subject, given).kept for given in (alike, right, wrong)] == [1.0, 1.0, 0.0]
    assert replace(examination, before=right).quality(subject, wrong).kept == 0.0, "no share is below nothing"


def test_latencies_are_those_of_both_models(model: Path, tmp_path: Path) -> None:
    done = ab.compress(model, "layers:1", out=tmp_path / "out")
    assert [(one.batch_size, one.length) for one in done.rows[1].latencies] == [(1, 16), (1, 64), (32, 16), (32, 64)]
    assert all(0 < one.low <= one.median <= one.high for row in done.rows for one in row.latencies)
    assert all(one.speedup > 0 and one.repetitions >= 5 for one in done.rows[1].latencies)


def test_the_gate_writes_nothing_below_it(
    model: Path, rows: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, kept = tmp_path / "out", Examination.quality, [0.97]

    def worse(self: Examination, subject: Subject, given: list) -> Quality:
        return replace(real(self, subject, given), kept=1.0 if given is self.before else kept[0])

    monkeypatch.setattr(Examination, "quality", worse)
    arguments = ["compress", str(model), "-w", "magnitude:0.9", "--task", rows, "--out", str(out), "--no-timing"]
    assert run([*arguments, "--at-least", "98%"]) == 1
    assert not out.exists() and not list(tmp_path.glob(".compress-*"))
    said = capsys.readouterr().out
    assert "keeps 97.0% of its accuracy, less than the 98.0% asked for; nothing is written" in said
    assert "states of embeddings:" in said and "states of layer 3:" in said
    kept[0] = 0.96998
    assert run([*arguments, "--at-least", "97%"]) == 1
    assert "keeps 96.998% of its accuracy, less than the 97.000% asked for" in capsys.readouterr().out
    kept[0] = 0.97 - 1e-12
    assert run([*arguments, "--at-least", "97%"]) == 0 and (out / "model.safetensors").is_file()


def test_a_ladder_reaches_its_target_or_says_that_it_does_not(
    model: Path, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afterbert.workflows.compression_search.ladder", lambda form: CHAINS)
    before = ab.compress(model, "layers:4", task=rows, out=tmp_path / "whole", timed=False).rows[0].bytes
    done = ab.compress(model, task=rows, out=tmp_path / "out", target=f"{before * 0.6 / 1e3:g}kB", timed=False)
    assert [row.method for row in done.rows] == ["", "layers:keep=3", "layers:keep=2 + magnitude", "layers:keep=1"]
    smallest = min(done.rows[2:], key=lambda row: (-(row.quality.kept if row.quality else 0), row.bytes))
    assert Subject.read(tmp_path / "out").num_parameters() == smallest.parameters
    assert (
        run(["compress", str(model), "--task", rows, "--target", "1kB", "-o", str(tmp_path / "no"), "--no-timing"]) == 1
    )
    assert not (tmp_path / "no").exists()
    real = Examination.quality
    monkeypatch.setattr(Examination, "quality", lambda *given: replace(real(*given), kept=0.5))
    none = ab.compress(model, task=rows, out=tmp_path / "no", target="9GB", at_least=0.9, timed=False)
    assert none.refusal == ("no combination reaches 9GB and keeps 90.0% of the quality; nothing is written",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ()}, "there is no method; say --with"),
        ({"methods": ("layer:4",)}, "no method is called 'layer'; did you mean 'layers'"),
        (
            {"methods": ("layers:keep=4,drop=middle",)},
            "--with layers:keep=4,drop=middle is 'middle', must be 'top', 'bottom'",
        ),
        ({"methods": ("layers:9",)}, "layers: keep is 9, but the model has 4 layers"),
        ({"methods": ("layers:2", "layers:3")}, "layers: keep is 3, but the model has 2 layers"),
        ({"methods": ("layers:2,keep=3",)}, "--with layers:2,keep=3 says keep twice; leave one out"),
        ({"methods": ("heads:0.9",)}, "leaves a layer without any"),
        ({"methods": ("shared:1", "heads:0.3")}, "share their weights; put it first"),
        ({"methods": ("shared:3",)}, "do not divide into 3 groups"),
        ({"methods": ("heads:0.3", "distil:attention=1")}, "a method before it takes heads away"),
        ({"methods": ("heads:0.3",), "task": None}, "needs the loss of a task"),
        ({"at_least": 0.98, "task": None}, "--at-least needs rows"),
        ({"at_least": 98.0}, "write a share from 1% to 100%"),
        ({"methods": (), "target": "1.2.3x"}, "--target '1.2.3x' is not known"),
        ({"target": "1MB"}, "--with and --target: a goal chooses its methods itself"),
        ({"split": "elsewhere"}, "no labelled rows called elsewhere to judge by; there are: dev"),
        ({"methods": ("vocabulary:text=/no/such/file",)}, "/no/such/file"),
    ],
)
def test_refusals_come_before_any_work(model: Path, rows: str, tmp_path: Path, changes: dict, said: str) -> None:
    request = CompressRequest(str(model), ("layers:2",), tmp_path / "out", task=rows)
    with pytest.raises(UserError, match=said) as refused:
        prepare_compression(replace(request, **changes))
    assert len(refused.value.lines) == 1
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".compress-*"))


def test_the_folder_that_is_really_read_is_not_written(model: Path, tmp_path: Path) -> None:
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "seed-0").symlink_to(model.parent)  # as `finetune` leaves it
    request = CompressRequest(str(tmp_path / "tuned"), ("layers:2",), model, overwrite=True)
    with pytest.raises(UserError, match="is the folder the model is read from; name another one to write"):
        prepare_compression(request)


def test_the_folder_that_one_stands_in_is_written(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run(["compress", str(model), "--with", "layers:2", "--out", ".", "--no-timing"]) == 0
    assert Subject.read(tmp_path / "here").model.architecture.num_hidden_layers == 2


def test_two_at_once_do_not_write_the_same_steps(model: Path, tmp_path: Path) -> None:
    request = CompressRequest(str(model), ("layers:2",), tmp_path / "out", timed=False)
    work = prepare_compression(request).work
    work.mkdir()
    with RunFolder(work).locked(), pytest.raises(UserError, match="is being written by process"):
        carry_out_compression(request)
    assert not (tmp_path / "out").exists()
    assert carry_out_compression(request).model == tmp_path / "out" and not work.exists()


def test_a_thin_table_loses_pieces_too(model: Path, tmp_path: Path) -> None:
    subject = Subject.read(model)
    setting = setting_for(subject, tmp_path / "scratch")
    thin = parse("low_rank:0.4,of=table")(subject, setting)
    trimmed = parse("vocabulary")(thin, setting)
    assert trimmed.num_parameters() < thin.num_parameters()
    torch.testing.assert_close(outputs(trimmed, setting), outputs(thin, setting))


def test_a_model_that_no_combination_fits_is_told_why(rows: str, tmp_path: Path) -> None:
    answering(tmp_path / "decoder", Decoder(**SIZES))
    request = CompressRequest(
        str(tmp_path / "decoder" / "model"), (), tmp_path / "out", task=rows, target="1MB", timed=False
    )
    with pytest.raises(UserError, match="a model of type decoder has no fused graph"):
        carry_out_compression(request)


def test_what_was_done_before_a_kill_is_not_done_again(
    model: Path, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = CompressRequest(str(model), ("heads:0.3", "magnitude:0.5"), tmp_path / "out", task=rows, timed=False)
    whole = carry_out_compression(replace(request, out=tmp_path / "whole"))
    monkeypatch.setattr(Magnitude, "__call__", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        carry_out_compression(request)
    monkeypatch.undo()
    monkeypatch.setattr("afterbert.compression.methods.heads.Heads.__call__", lambda *_: pytest.fail("done twice"))
    done = carry_out_compression(request)
    plain = [replace(row, seconds=0.0).plain() for row in done.rows]
    assert plain == [replace(row, seconds=0.0).plain() for row in whole.rows]
    first, second = (Subject.read(tmp_path / name) for name in ("whole", "out"))
    setting = setting_for(first, tmp_path / "scratch")
    assert (outputs(first, setting) == outputs(second, setting)).all()


def test_after_an_error_at_the_end_the_model_is_that_of_the_last_step_that_was_kept(
    model: Path, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def timed(*_: object) -> tuple[Latency, ...]:
        clock[0] += 100
        return (Latency(1, 16, 1.0, 1.0, 1.0, 5, speedup=0.5),)

    monkeypatch.setattr("afterbert.workflows.compression.latencies", timed)
    monkeypatch.setattr("afterbert.workflows.compression.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(Magnitude, "must_be_faster", True)
    request = CompressRequest(str(model), ("layers:2", "magnitude:0.5"), tmp_path / "out", task=rows)
    with monkeypatch.context() as full:
        full.setattr("afterbert.workflows.compression.write_atomically", lambda *_: (_ for _ in ()).throw(OSError(28)))
        with pytest.raises(OSError, match="28"):
            carry_out_compression(request)
    _, layers, magnitude = carry_out_compression(request).rows
    assert layers.is_kept and not magnitude.is_kept and "not kept, for it is slower" in magnitude.notes[0]
    assert layers.notes[-1] == "slower on this machine than the model as it was (0.50x as fast)"
    assert Subject.read(tmp_path / "out").num_parameters() == layers.parameters
    assert layers.seconds == 0, "what measuring takes is not the method's time"


def test_steps_that_learned_from_other_rows_are_not_taken_over(model: Path, rows: str, tmp_path: Path) -> None:
    request = CompressRequest(str(model), ("heads:0.3",), tmp_path / "out", task=rows)
    before = prepare_compression(request).work
    assert prepare_compression(request).work == before
    with open(tmp_path / "rows" / "train.jsonl", "a") as file:
        file.write('{"text": "never seen", "label": "positive"}\n')
    assert prepare_compression(request).work != before


def test_a_search_tells_what_there_is_to_know_of_the_model(
    model: Path, rows: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afterbert.workflows.compression_search.ladder", lambda form: CHAINS[:1])

    class Told(WorkObserver):
        notes: ClassVar[list[str]] = []

        def on_note(self, text: str) -> None:
            self.notes.append(text)

    request = CompressRequest(str(model), (), tmp_path / "out", task=rows, target="9GB", timed=False)
    setup = replace(prepare_compression(request), notes=("seed 1 did best on dev",))
    assert search(setup, observer=Told()).model == tmp_path / "out"
    assert Told.notes == ["seed 1 did best on dev"]


def test_points_of_an_error_are_no_goal(model: Path, rows: str, tmp_path: Path) -> None:
    """Else each model would reach it, since an error grows where a model gets worse."""
    request = CompressRequest(str(model), (), tmp_path / "out", task=rows, target="-1 point", timed=False)
    setup = prepare_compression(request)
    tuned = setup.before.tuned
    assert tuned is not None
    task = replace(tuned.tasks["toy"], metrics=(SquaredError(),))  # type: ignore[call-arg]
    with pytest.raises(UserError, match="rows are judged by squared_error"):
        search(replace(setup, before=Subject(tuned.model, replace(tuned, tasks={"toy": task}))))


def test_a_model_without_a_task_is_made_smaller_too(model: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the food was good\n\nwe liked it")
    (tmp_path / "plain").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "plain" / name).write_bytes((model / name).read_bytes())
    methods = [f"vocabulary:{tmp_path / 'text.txt'}", "layers:2", "low_rank:0.5"]
    done = ab.compress(tmp_path / "plain", methods, out=tmp_path / "out", timed=False)
    assert [row.quality for row in done.rows] == [None] * 4
    assert done.rows[0].parameters > done.rows[1].parameters > done.rows[2].parameters > done.rows[3].parameters
    assert ab.load(tmp_path / "out").encode("the food").shape == (1, 24)
