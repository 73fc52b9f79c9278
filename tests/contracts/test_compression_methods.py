"""Every way to make a model smaller saves what it declares and makes nothing larger; with strength zero it changes
nothing; what it writes is read back as the same model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.compression.chain import check_all, parse, written
from afterbert.compression.measuring import StepRow, sizes
from afterbert.compression.methods import Method, Setting
from afterbert.compression.subject import Form, Subject

sys.path.insert(0, str(Path(__file__).parents[1] / "compression"))
from small_models import BERT, answering, like_the_laptop_recipe, outputs, setting_for

# Each method as it comes, and further settings that it has.
STRENGTHS = {
    "layers": ("layers:2", "layers:2,drop=bottom", "layers:1,drop=alternate", "layers:3,drop=symmetric"),
    "heads": ("heads:0.4", "heads:0.4,by=chance"),
    "neurons": ("neurons:0.5", "neurons:0.5,within=model", "neurons:0.3,by=chance"),
    "magnitude": ("magnitude:0.5",),
    "low_rank": ("low_rank:0.4", "low_rank:0.4,weighted=true", "low_rank:0.3,of=table,weighted=true"),
    "shared": ("shared:2", "shared:1"),
    "quantize": ("quantize", "quantize:static", "quantize:dynamic,leave=2"),
    "retrain": ("retrain:steps=2",),
    "distil": (
        "distil:steps=2",
        "distil:steps=2,hard=1,hidden=1,attention=1,relations=1,patient=1",
        "distil:steps=2,patient=1,patient_layers=last",
        "distil:steps=2,augment=2",
    ),
    "gradual": ("gradual:sparsity=0.4,steps=3", "gradual:steps=3,by=movement", "gradual:steps=9,by=soft_movement"),
    "layer_drop": ("layer_drop:rate=0.5,steps=2",),
    "round_aware": ("round_aware:steps=2",),
    "theseus": ("theseus:steps=3",),
    "static": ("static:width=8,epochs=1",),
    "bits": ("bits:8,block=16", "bits:4,block=16"),
}
VARIANTS = [one for name in plugins.names(Method) for one in STRENGTHS.get(name, (name,))]
each_variant = pytest.mark.parametrize("said", VARIANTS)
ARCHITECTURES = {"bert": BERT, "laptop": like_the_laptop_recipe()}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return answering(tmp_path_factory.mktemp("small"), ARCHITECTURES[request.param])


def carried_out(method: Method, subject: Subject, folder: Path) -> tuple[Subject, Setting]:
    """The smaller model; a method that does not fit this architecture is skipped, with its reason."""
    try:
        method.check(subject.form)
    except UserError as reason:
        pytest.skip(str(reason))
    setting = setting_for(subject, folder / "scratch")
    return method(subject, setting), setting


def row_of(subject: Subject, folder: Path) -> StepRow:
    return sizes(subject, "", subject.write(folder))


@each_variant
def test_it_saves_what_it_declares_and_makes_nothing_larger(said: str, subject: Subject, tmp_path: Path) -> None:
    method = parse(said)
    after, _ = carried_out(method, subject, tmp_path)
    before, now = row_of(subject, tmp_path / "before"), row_of(after, tmp_path / "after")
    assert bool(method.saves) != method.trains, "a method makes something smaller, or the model better again"
    for what in ("parameters", "bytes", "flops") if method.trains else ("parameters", "nonzero", "bytes", "flops"):
        old, new = getattr(before, what), getattr(now, what)
        slack = 1.02 if what in ("bytes", "flops") else 1.0  # config and names; the narrow table's widening
        assert new < old if what in method.saves else new <= old * slack, (what, old, new)


@each_variant
def test_the_predicted_form_is_the_one_that_comes_out(said: str, subject: Subject, tmp_path: Path) -> None:
    method = parse(said)
    after, _ = carried_out(method, subject, tmp_path)
    told = method.check(subject.form)
    assert told.kind == after.kind
    assert told.architecture.num_hidden_layers == after.model.architecture.num_hidden_layers
    if after.kind == "graph":
        return
    size = after.model.architecture.vocab_size or 0
    real = sum(one.numel() for one in after.model.backbone().parameters())
    assert after.model.architecture.num_parameters(size) == real


@pytest.mark.parametrize("name", plugins.names(Method))
def test_strength_zero_is_the_identity(name: str, subject: Subject, tmp_path: Path) -> None:
    settings = plugins.find(Method, name).at_zero
    if settings is None:
        pytest.skip("it has no such strength")
    after, setting = carried_out(parse(f"{name}:{settings}"), subject, tmp_path)
    torch.testing.assert_close(outputs(after, setting), outputs(subject, setting), atol=1e-5, rtol=1e-4)
    assert sizes(after, "", 0).parameters == sizes(subject, "", 0).parameters


@each_variant
def test_what_is_written_is_read_back_as_the_same_model(said: str, subject: Subject, tmp_path: Path) -> None:
    after, setting = carried_out(parse(said), subject, tmp_path)
    after.write(tmp_path / "written")
    again = Subject.read(tmp_path / "written")
    torch.testing.assert_close(outputs(again, setting), outputs(after, setting), atol=1e-5, rtol=1e-4)
    if not parse(said).exact:
        assert not torch.allclose(outputs(after, setting), outputs(subject, setting)), "it does something"


@each_variant
def test_an_exact_method_leaves_answers_on_the_training_rows(said: str, subject: Subject, tmp_path: Path) -> None:
    method = parse(said)
    if not method.exact:
        pytest.skip("it is not exact, and does not say so")
    after, setting = carried_out(method, subject, tmp_path)
    torch.testing.assert_close(outputs(after, setting), outputs(subject, setting), atol=1e-5, rtol=1e-4)


@each_variant
def test_it_is_read_as_it_is_written_and_the_same_twice(said: str, subject: Subject, tmp_path: Path) -> None:
    method = parse(said)
    assert parse(written(method)) == method
    first, setting = carried_out(method, subject, tmp_path / "a")
    second, _ = carried_out(method, subject, tmp_path / "b")
    assert torch.equal(outputs(first, setting), outputs(second, setting))


@each_variant
def test_nothing_can_change_a_model_that_has_no_weights(said: str, subject: Subject) -> None:
    with pytest.raises(UserError, match="needs weights, but what stands before it leaves a finished graph"):
        parse(said).check(replace(subject.form, kind="graph"))


def test_a_control_takes_as_much_away(subject: Subject, tmp_path: Path) -> None:
    for said in VARIANTS:
        method = parse(said)
        control = method.control()
        if control is not None and control.saves == method.saves and not method.trains:
            a, _ = carried_out(method, subject, tmp_path / said / "a")
            b, _ = carried_out(control, subject, tmp_path / said / "b")
            assert abs(a.num_parameters() / b.num_parameters() - 1) < 0.02, said


@pytest.mark.timeout(900)  # some hundred trainings of three steps, each of which is made sure to be on the disk
def test_every_pair_of_methods_composes_or_is_refused_before_any_work(subject: Subject, tmp_path: Path) -> None:
    firsts = [STRENGTHS.get(name, (name,))[0] for name in plugins.names(Method)]
    for first in firsts:
        for second in firsts:
            chain = [parse(first), parse(second)]
            try:
                form: Form = check_all(subject.form, chain)
            except UserError as reason:
                assert len(reason.lines) == 1
                continue
            now = subject
            for number, method in enumerate(chain):
                now = method(now, setting_for(subject, tmp_path / f"{first}+{second}" / str(number)))
            assert now.kind == form.kind
            if any("nonzero" in method.saves for method in chain):
                assert now.num_parameters(zeros=False) < subject.num_parameters(zeros=False)
