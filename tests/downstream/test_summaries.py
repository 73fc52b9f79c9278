"""A head that reads one piece of a row is given its state alone, and it is the same as among all states."""

from dataclasses import replace

import pytest
import torch

from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.posing.backbone import states, summarized, summary_places
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.interop.families import family_named
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation


@pytest.mark.parametrize("kind", [Encoder, Decoder, EncoderDecoder, Permutation])
@pytest.mark.parametrize("summary", ["first", "last", "mean"])
def test_a_summary_is_that_of_the_row(kind, summary, tiny_model, data_of):
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    architecture = kind(vocab_size=tiny_model.architecture.vocab_size, max_position_embeddings=96, **sizes)
    model = replace(tiny_model, architecture=architecture, weights={})
    bench = Bench.of(model, [data_of(PairClassification())], FineTuning(length=64))
    torch.manual_seed(0)
    backbone = bench.module().eval().backbone
    prepared = bench.asked.prepared["toy"]["train"]
    units = prepared.costs.argsort()[[0, -1, 3]]
    batch = prepared.batch(units, pad=bench.asked.pad, has_segments=model.architecture.has_segments, name="toy")
    arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
    with torch.inference_mode():
        alone = states(backbone, arrays, wanted=summary_places(arrays, summary))
        found = summarized(alone, arrays, summary)
        whole = states(backbone, arrays)
    lengths = (arrays["last"] + 1).tolist()
    for row, (length, vector) in enumerate(zip(lengths, found, strict=True)):
        pieces = whole[row, :length]
        expected = {"first": pieces[0], "last": pieces[-1], "mean": pieces.mean(0)}[summary]
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "summary"), [("bert", "first"), ("modernbert", "mean"), ("gpt2", "last")])
def test_what_speaks_for_a_row_is_usual_for_the_model(name, summary, tiny_model, data_of):
    architecture = family_named(name).architecture_of({"vocab_size": tiny_model.architecture.vocab_size})
    model = replace(tiny_model, architecture=architecture, weights={})
    usual, asked = (
        Bench.of(model, [data_of(PairClassification())], settings).asked
        for settings in (FineTuning(length=64), FineTuning(length=64, summary=summary))
    )
    assert usual.summary == summary
    assert usual.plain() == asked.plain(), "a run that is gone on with is asked the same"


@pytest.mark.parametrize("summary", ["first", "last", "mean"])
@pytest.mark.parametrize(("name", "part"), [("modernbert", "lm_head"), ("bert", "pooler")])
def test_layers_start_from_what_was_taught_to_read_the_piece(name, part, summary, tiny_model, data_of):
    """A language-model head reads every piece, a pooler the first."""
    architecture = family_named(name).architecture_of({"vocab_size": tiny_model.architecture.vocab_size})
    width = architecture.hidden_size
    layers = {"dense.weight": torch.randn(width, width), "norm.weight": torch.randn(width)}
    if part == "pooler":
        state = {"dense.weight": layers["dense.weight"], "dense.bias": torch.zeros(width)}
    else:
        state = {f"transform.{key}": tensor for key, tensor in layers.items()}
    model = replace(tiny_model, architecture=architecture, weights={part: state})
    bench = Bench.of(model, [data_of(PairClassification())], FineTuning(length=64, summary=summary))
    dense = next(iter(bench.module().heads.values())).layers.dense.weight
    assert torch.equal(dense, layers["dense.weight"]) == (part == "lm_head" or summary == "first")
