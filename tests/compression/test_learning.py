"""What happens inside while a smaller model learns: layers that stand in, weights that move to zero, rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from small_models import answering, outputs, setting_for

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.compression.chain import check_all, parse
from afterbert.compression.methods.distil import MeanOfTeachers
from afterbert.compression.methods.gradual import PrunedModule
from afterbert.compression.methods.round_aware import RoundedModule, rounded_states, rounded_weight
from afterbert.compression.methods.theseus import ReplacedModule
from afterbert.compression.parts.seen_weights import linear_weights, mask
from afterbert.compression.subject import Subject
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.objectives.layer_drop import LayerDropModule
from afterbert.objectives.parts.distillation import DistillationModule, Losses
from afterbert.training.observers import Observer
from invented_examples import invented


@pytest.fixture
def model(tmp_path: Path) -> Subject:
    return answering(tmp_path / "model")


def task_of(subject: Subject) -> Any:
    assert subject.tuned is not None
    return subject.tuned.module.eval()


def batch_of(subject: Subject, folder: Path, **more: Any) -> dict[str, torch.Tensor]:
    return {**next(iter(setting_for(subject, folder).batches(subject))), **more}


def test_a_model_that_learns_again_gives_no_answer_as_before(tmp_path: Path) -> None:
    """The margin was found on dev rows, which are not at hand here."""
    model = answering(tmp_path / "model", kind="question_answering")
    assert model.tuned is not None
    head = replace(cast(Any, model.tuned.heads["toy"]), null_bias=1.5)
    known = replace(model, tuned=replace(model.tuned, heads={"toy": head}))
    after = parse("retrain:steps=1")(known, setting_for(known, tmp_path / "scratch"))
    assert after.tuned is not None and after.tuned.heads == {"toy": head}


@pytest.mark.parametrize("kind", ["multiple_choice", "ranking"])
def test_candidates_are_learned_from_a_teacher_and_answered_by_a_graph(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    monkeypatch.setattr("afterbert.compression.methods.distil._AT_ONCE", 3)
    model = answering(tmp_path / "model", kind=kind)
    after = parse("distil:steps=1")(model, setting_for(model, tmp_path / "scratch"))
    graph = parse("quantize:none")(after, setting_for(after, tmp_path / "graph"))
    assert after.tuned is not None and graph.tuned is not None
    rows = invented(after.tuned.tasks["toy"])
    ours, theirs = ([one.scores for one in Answerer(of, "toy")(rows)] for of in (after.tuned, graph.tuned))
    np.testing.assert_allclose(np.concatenate(theirs), np.concatenate(ours), atol=1e-4)


def test_a_widening_that_changes_nothing_yet_was_not_pruned(model: Subject, tmp_path: Path) -> None:
    setting = setting_for(model, tmp_path / "scratch")
    shared = parse("shared:1")(model, setting)
    name = "embeddings.widen.weight"
    assert torch.equal(shared.backbone[name], torch.eye(len(shared.backbone[name])))
    after = parse("retrain:steps=1")(shared, setting)
    assert after.backbone[name].count_nonzero() > 0.9 * after.backbone[name].numel()


class TestTheseus:
    def test_it_fits_a_model_that_is_not_made_yet(self, model: Subject) -> None:
        """As a study asks, before it trains."""
        form = replace(model.form, first=None)
        assert check_all(form, [parse("layers:2"), parse("theseus")]).architecture.num_hidden_layers == 2

    def test_layers_that_do_not_stand_yet_are_the_predecessors(self, model: Subject, tmp_path: Path) -> None:
        """None of two layers stands: the loss is that of the four; all do: it is their own."""
        setting = setting_for(model, tmp_path / "scratch")
        small = parse("layers:2")(model, setting)
        both = ReplacedModule(task_of(small), task_of(model)).eval()
        for stands, same in (([False, False], model), ([True, True], small), ([], small)):
            arrays = batch_of(model, tmp_path / str(stands), stands=torch.tensor(stands, dtype=torch.bool))
            torch.testing.assert_close(both(arrays), task_of(same)(arrays))
        mixed = both(batch_of(model, tmp_path / "half", stands=torch.tensor([True, False])))
        for name, loss in mixed.items():
            assert not torch.isclose(loss, task_of(small)(arrays)[name])
            assert not torch.isclose(loss, task_of(model)(arrays)[name])

    @pytest.mark.parametrize(("stands", "learns"), [([True, True], False), ([], True)])
    def test_embeddings_and_head_wait_until_all_stand(
        self, model: Subject, tmp_path: Path, stands: list[bool], learns: bool
    ) -> None:
        small = parse("layers:2")(model, setting_for(model, tmp_path / "scratch"))
        both = ReplacedModule(task_of(small), task_of(model))
        arrays = batch_of(model, tmp_path / "batch", stands=torch.tensor(stands, dtype=torch.bool))
        sum(both(arrays).values()).backward()
        moved = {name for name, one in both.inner.named_parameters() if one.grad is not None and one.grad.any()}
        assert any(name.startswith("backbone.stack.") for name in moved)
        assert any(not name.startswith("backbone.stack.") for name in moved) == learns
        assert all(one.grad is None for one in task_of(model).parameters())


class TestLayerDrop:
    def test_layers_are_left_out_in_training_only(self, model: Subject, tmp_path: Path) -> None:
        """Of 4 layers each with chance 0.25: over 400 passes 300 of a layer, give or take four deviations of 8.7."""
        around = LayerDropModule(task_of(model), 0.25)
        arrays = batch_of(model, tmp_path / "batch")
        torch.testing.assert_close(around.eval()(arrays), task_of(model)(arrays))
        calls = dict.fromkeys(range(4), 0)

        def count(_stack: Any, number: int, hidden: torch.Tensor) -> torch.Tensor:
            calls[number] += 1
            return hidden

        with torch.random.fork_rng():
            torch.manual_seed(0)
            for _ in range(400):
                for number in calls:
                    around._kept_or_left_out(cast(Any, None), number, arrays["input_ids"], count)
        assert all(abs(times - 300) < 35 for times in calls.values())
        around.rate = 0.999999
        small = task_of(parse("layers:1")(model, setting_for(model, tmp_path / "scratch")))
        assert not torch.isclose(*(next(iter(m.train()(arrays).values())) for m in (around, small)))


class TestTeachers:
    def test_answers_asked_beforehand_are_those_of_the_teacher(self, model: Subject, tmp_path: Path) -> None:
        """Where only answers are compared it is asked once a row; a loss by its states needs it in every batch."""
        setting = setting_for(model, tmp_path / "kept")
        small = parse("layers:2")(model, setting)
        after = parse("distil:epochs=2,batch_size=4")(small, setting)
        kept = torch.from_numpy(np.load(setting.folder / "teacher.npy"))
        torch.testing.assert_close(kept, outputs(model, setting))
        assert not torch.allclose(outputs(after, setting), outputs(small, setting), atol=1e-5)
        around = DistillationModule(task_of(small), task_of(model), Losses())
        arrays = batch_of(model, tmp_path / "batch")
        told = around({**arrays, "teacher_answers": kept[: len(arrays["input_ids"])]})
        torch.testing.assert_close(told, around(arrays))
        parse("distil:steps=1,patient=1")(small, setting_for(model, tmp_path / "asked"))
        assert not (tmp_path / "asked" / "teacher.npy").exists()

    def test_several_answer_with_the_mean_of_their_chances(self, model: Subject, tmp_path: Path) -> None:
        other = task_of(parse("magnitude:0.9")(model, setting_for(model, tmp_path / "scratch")))
        arrays, both = batch_of(model, tmp_path / "batch"), MeanOfTeachers(task_of(model), [other])
        expected = (task_of(model).predict(arrays).softmax(-1) + other.predict(arrays).softmax(-1)) / 2
        torch.testing.assert_close(both.predict(arrays).exp(), expected)

    def test_another_teacher_must_know_the_task(self, model: Subject, tmp_path: Path) -> None:
        setting = setting_for(model, tmp_path / "scratch")
        again = parse(f"distil:steps=1,beside={model.model.name}")(model, setting)
        assert again.tuned is not None
        other = answering(tmp_path / "pairs", kind="pair_classification")
        with pytest.raises(UserError, match="does not answer task 'toy' with the same labels"):
            parse(f"distil:steps=1,beside={other.model.name}")(model, setting)
        with pytest.raises(UserError, match="does not answer task 'toy' with the same labels"):
            parse(f"distil:beside={other.model.name}").check(model.form)


class TestMovement:
    def test_scores_learn_by_the_weight_times_its_gradient(self, model: Subject, tmp_path: Path) -> None:
        """Equation 2 of 2005.07683, where half is pruned; a pruned weight has no gradient."""
        names = linear_weights(model.backbone)
        pruned = PrunedModule(task_of(model), names, 0.5, "movement").eval()
        with torch.no_grad():
            for scores in pruned.scores:
                scores.copy_(torch.from_numpy(Noise(1).uniform(np.arange(scores.numel())).reshape(scores.shape)))
        arrays = batch_of(model, tmp_path / "batch", progress=torch.tensor([0.69]))
        sum(pruned(arrays).values()).backward()
        weights = dict(pruned.backbone.named_parameters())
        plain = {name: weights[name].detach().clone() for name in names}
        gradients = {}
        for number, name in enumerate(names):
            kept = mask(pruned.scores[number].detach(), 0.49999)
            assert not weights[name].grad[kept == 0].any()
            gradients[name] = kept
        with torch.no_grad():
            for name in names:
                weights[name].mul_(gradients[name])
                weights[name].grad = None
        sum(task_of(model)(arrays).values()).backward()
        for number, name in enumerate(names):
            torch.testing.assert_close(pruned.scores[number].grad, plain[name] * weights[name].grad)

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
    def test_a_mask_keeps_the_highest_and_of_equals_the_last(self, share: float) -> None:
        for scores in (
            torch.zeros(7, 9),
            torch.arange(63).remainder(5).float().view(7, 9),
            -torch.arange(63.0).view(7, 9),
        ):
            lowest = scores.flatten().argsort(stable=True)[: round(share * 63)]
            assert torch.equal(mask(scores, share), torch.ones(63).index_fill(0, lowest, 0.0).view(7, 9))

    def test_the_highest_scores_are_left(self, model: Subject, tmp_path: Path) -> None:
        setting = setting_for(model, tmp_path / "scratch")
        after = parse("gradual:sparsity=0.75,by=movement,steps=10,learning_rate=0.01")(model, setting)
        for name in linear_weights(after.backbone):
            assert int((after.backbone[name] == 0).sum()) == round(0.75 * after.backbone[name].numel())
        by_size = parse("magnitude:0.75")(model, setting)
        assert not torch.equal(outputs(after, setting), outputs(by_size, setting))


class TestSoftMovement:
    def test_the_penalty_is_the_mean_sigmoid_and_grows_as_the_share_does(self, model: Subject, tmp_path: Path) -> None:
        """Halfway its weight is 7/8; of a score of 0 the sigmoid has the slope 1/4."""
        names = linear_weights(model.backbone)
        pruned = PrunedModule(task_of(model), names, 0.5, "soft_movement", (-1.0, 400.0)).eval()
        assert pruned.loss_weights["penalty"] == 400
        found = pruned(batch_of(model, tmp_path / "batch", progress=torch.tensor([0.4])))["penalty"]
        torch.testing.assert_close(found, torch.tensor(0.5 * 7 / 8))
        found.backward()
        count = sum(one.numel() for one in pruned.scores)
        for scores in pruned.scores:
            torch.testing.assert_close(scores.grad, torch.full_like(scores, 7 / 8 / 4 / count))

    def test_what_lies_above_the_threshold_stays_and_no_more_goes_than_the_schedule_says(self, model: Subject) -> None:
        names = linear_weights(model.backbone)
        pruned = PrunedModule(task_of(model), names, 0.5, "soft_movement", (-1.0, 1.0))
        total, first = sum(one.numel() for one in pruned.scores), pruned.scores[0].numel()
        assert all(bool(one.all()) for one in pruned.kept(0.5)), "all scores are 0"
        with torch.no_grad():
            pruned.scores[0].fill_(-2.0)
            pruned.scores[1].fill_(-0.5)
        assert [not one.any() for one in pruned.kept(0.5)[:3]] == [True, False, False]
        assert sum(int((one == 0).sum()) for one in pruned.kept(first / total / 2)) == round(first / 2)

    @pytest.mark.parametrize(("penalty", "most"), [(400, 0.6), (0, 0.55)])
    def test_a_penalty_reaches_the_share_and_what_was_reached_is_said(
        self, penalty: int, most: float, model: Subject, tmp_path: Path
    ) -> None:
        class Told(Observer):
            def on_note(self, text: str) -> None:
                notes.append(text)

        notes: list[str] = []
        setting = replace(setting_for(model, tmp_path / "scratch"), observers=(Told(),))
        after = parse(f"gradual:sparsity=0.6,by=soft_movement,steps=30,penalty={penalty}")(model, setting)
        matrices = [after.backbone[name] for name in linear_weights(after.backbone)]
        share = sum(int((one == 0).sum()) for one in matrices) / sum(one.numel() for one in matrices)
        assert f"{share:.1%} of the weights of the layers are 0, of at most 60.0%" in notes
        assert share == pytest.approx(0.6, abs=1e-4) if penalty else 0 < share < most
        assert len({round(float((one == 0).float().mean()), 2) for one in matrices}) > 1, "each matrix has its own"


class TestRounding:
    def test_what_every_matrix_reads_is_rounded(
        self, model: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also in the last layer, which asks for the first pieces alone."""
        read: list[torch.Tensor] = []
        monkeypatch.setattr(
            "afterbert.compression.methods.round_aware.rounded_states", lambda states: read.append(states) or states
        )
        names = linear_weights(model.backbone)
        RoundedModule(task_of(model), names)(batch_of(model, tmp_path / "scratch"))
        assert len(read) == len(names)

    def test_weights_are_rounded_as_torch_rounds_channels(self) -> None:
        weight = torch.from_numpy(Noise(2).uniform(np.arange(60)).reshape(5, 12)).float() - 0.3
        scale = weight.abs().amax(1) / 127
        expected = torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros(5), 0, -127, 127)
        torch.testing.assert_close(rounded_weight(weight), expected)

    @pytest.mark.parametrize("low", [-0.3, 0.2, -2.0])
    def test_states_are_rounded_as_torch_rounds_them(self, low: float) -> None:
        states = torch.from_numpy(Noise(3).uniform(np.arange(60)).reshape(2, 3, 10)).float() + low
        down, up = min(float(states.min()), 0.0), max(float(states.max()), 0.0)
        scale = (up - down) / 255
        expected = torch.fake_quantize_per_tensor_affine(states, scale, round(-down / scale), 0, 255)
        torch.testing.assert_close(rounded_states(states), expected, atol=1e-6, rtol=0)

    def test_the_gradient_goes_through(self) -> None:
        weight = torch.ones(2, 3, requires_grad=True)
        rounded_weight(weight).square().sum().backward()
        torch.testing.assert_close(weight.grad, torch.full((2, 3), 2.0))
