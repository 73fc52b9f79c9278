"""Tasks as text: learned by an encoder-decoder and by a decoder, saved, loaded; wrong texts are wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.objective import outputs
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned, save_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.heads.text import Text
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.text_to_text import TextToText
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.training.optimizers.adamw import AdamW

SIZES = {
    "hidden_size": 48,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 96,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
KINDS = [EncoderDecoder, Decoder]


def model_of(kind, tiny_model):
    architecture = kind(vocab_size=tiny_model.architecture.vocab_size, **SIZES)
    return replace(tiny_model, architecture=architecture, weights={})


def settings(**changed):
    defaults = {
        "budget": Budget(250, "epochs"),
        "batch_size": 8,
        "length": 64,
        "optimizer": AdamW(learning_rate=3e-3),
        "evaluate_every": None,
        "head": Text(target_length=12),
    }
    return FineTuning(**(defaults | changed))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_learned_by_heart_as_text(kind, tiny_model, tmp_path, data_of):
    tasks = [data_of(TextToText(), "count"), data_of(SentenceClassification(), "food")]
    model = model_of(kind, tiny_model)
    done = finetune(model, tasks, tmp_path, settings())
    mains = {result.name: next(iter(result.splits["dev"].metrics.values())).mean for result in done.results}
    assert min(mains.values()) > 0.95, mains
    loaded = load_finetuned(tmp_path / "seed-0")
    bench = Bench.of(loaded.model, tasks, settings())
    for data in tasks:
        written = bench.asked.predict(loaded.module, data.name, "dev")
        assert data.task.score(written, data.splits["dev"])[data.task.metrics[0].name] > 0.95


@pytest.mark.parametrize("generation", [Generation(), Generation("beam", num_beams=3), Generation("sample")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_written_the_same_alone_and_beside_longer_ones(kind, generation, tiny_model, data_of):
    model = model_of(kind, tiny_model)
    torch.manual_seed(0)
    bench = Bench.of(
        model, [data_of(PairClassification())], settings(head=Text(target_length=5, generation=generation))
    )
    module, head, prepared = (bench.module().eval(), bench.asked.heads["toy"], bench.asked.prepared["toy"]["dev"])
    together, alone = (outputs(module, model, head, prepared, name="toy", batch_size=n) for n in (8, 1))
    for left, right in zip(together, alone, strict=True):
        np.testing.assert_array_equal(left[left >= 0], right[right >= 0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_target_alone_and_no_row_sees_another(kind, tiny_model, data_of):
    bench = Bench.of(model_of(kind, tiny_model), [data_of(TextToText())], settings())
    torch.manual_seed(0)
    module, prepared = bench.module().eval(), bench.asked.prepared["toy"]["train"]

    def score(units):
        batch = prepared.batch(np.array(units), pad=bench.asked.pad, has_segments=False, name="toy")
        arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
        return module(arrays)["toy"].item(), batch.counts["toy"]

    whole, count = score(range(8))
    parts = [score([unit]) for unit in range(8)]
    assert whole == pytest.approx(sum(loss for loss, _ in parts), rel=1e-4)
    assert count == sum(asked for _, asked in parts) == prepared.to_write.targets.num_pieces


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_later_is_not_seen(kind, tiny_model, data_of):
    bench = Bench.of(model_of(kind, tiny_model), [data_of(TextToText())], settings())
    torch.manual_seed(0)
    module, prepared = bench.module().eval(), bench.asked.prepared["toy"]["train"]
    batch = prepared.batch(np.arange(8), pad=bench.asked.pad, has_segments=False, name="toy")
    arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
    changed = arrays["decoder_input_ids"].clone()
    changed[:, 2:] = (changed[:, 2:] + 7) % 300
    with torch.inference_mode():
        before = module.hidden(arrays)
        after = module.hidden(arrays | {"decoder_input_ids": changed})
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:], atol=1e-3)


def test_a_text_that_is_no_answer_is_wrong(tiny_model, data_of):
    data = data_of(SentenceClassification(), "food")
    bench = Bench.of(model_of(EncoderDecoder, tiny_model), [data], settings())
    prepared = bench.asked.prepared["food"]["dev"]
    tokenizer = tiny_model.tokenizer
    texts = ["positive", "positive positive", "salad"]
    ids = [np.array([*tokenizer.encode(text), tokenizer.vocabulary.sep, -1]) for text in texts]
    found = [one.value for one in bench.asked.heads["food"].answered(prepared, ids)]
    assert found[0] == "positive"
    assert not {found[1], found[2]} & set(data.task.labels)


def test_an_encoder_or_too_short_a_row_is_one_line(tiny_model, data_of):
    with pytest.raises(UserError, match="toy: texts are written by an encoder-decoder or a decoder, but tiny is"):
        Bench.of(tiny_model, [data_of(TextToText())], settings(head=None))
    with pytest.raises(UserError, match="length 16 leaves no room to read beside 12 pieces to write"):
        Bench.of(model_of(Decoder, tiny_model), [data_of(TextToText())], settings(length=16))
    with pytest.raises(UserError, match="nothing of its own to learn on a frozen backbone"):
        Bench.of(model_of(Decoder, tiny_model), [data_of(TextToText())], settings(frozen=True))


@pytest.mark.parametrize(
    ("generation", "theirs"),
    [
        (Generation(), {"num_beams": 1}),
        (
            Generation("beam", num_beams=3, length_penalty=0.0),
            {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never"},
        ),
    ],
)
def test_transformers_writes_the_same(generation, theirs, tiny_model, tmp_path, data_of):
    """From the saved folder, in a padded batch."""
    from transformers import AutoModelForSeq2SeqLM

    torch.manual_seed(3)
    config = settings(head=Text(target_length=6, start="cls", generation=generation))
    bench = Bench.of(model_of(EncoderDecoder, tiny_model), [data_of(TextToText())], config)
    module, prepared = bench.module().eval(), bench.asked.prepared["toy"]["dev"]
    # Fresh weights repeat the last piece (the table is tied); wilder ones write all sorts of things.
    with torch.no_grad():
        for weight in module.backbone.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.4)
    save_finetuned(tmp_path / "model", module, bench.asked)
    batch = prepared.batch(np.arange(8), pad=bench.asked.pad, has_segments=False, name="toy")
    arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
    with torch.inference_mode():
        ours = module.answer(arrays)
        model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").eval()
        lengths = torch.as_tensor(prepared.rows.lengths)
        found = model.generate(
            input_ids=arrays["input_ids"],
            attention_mask=(torch.arange(arrays["input_ids"].shape[1]) < lengths[:, None]).long(),
            decoder_start_token_id=prepared.to_write.start,
            eos_token_id=prepared.to_write.end,
            pad_token_id=bench.asked.pad,
            bos_token_id=None,
            forced_eos_token_id=None,
            forced_bos_token_id=None,
            max_length=7,
            do_sample=False,
            **theirs,
        )[:, 1:]
    for mine, other in zip(ours.tolist(), found.tolist(), strict=True):
        written = [piece for piece in mine if piece >= 0]
        assert other[: len(written)] == written
        assert set(other[len(written) :]) <= {bench.asked.pad}
    assert len({tuple(row) for row in ours.tolist()}) > 1
