"""Writing with a memory of keys and values: the same as reading everything anew, and as transformers writes."""

import pytest
import torch

from afterbert.base.vocabulary import Vocabulary
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.posing.writing import Writer, writing_states
from afterbert.interop.importing import import_folder
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.relative_bias import RelativeBias
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.positions.transformer_xl import TransformerXL
from afterbert.nn.recurrence import Halting, Recurrence
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.stack import Stack, Windows

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
}
NOWHERE = Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0)


def relative(positions, **settings):
    return {"embeddings": NOWHERE, "stack": Stack(attention=Attention(positions=positions), **settings)}


MODELS = {
    "learned": Decoder(**SIZES),
    "rotary": Decoder(**SIZES, **relative(Rotary())),
    "windows": Decoder(**SIZES, **relative(Rotary(), windows=Windows(local_attention=6))),
    "transformer_xl": Decoder(**SIZES, **relative(TransformerXL())),
    "shared": Decoder(**SIZES, stack=Stack(residual=PreNorm(), sharing=ShareAll())),
    "halting": Decoder(
        **SIZES, stack=Stack(sharing=ShareAll(), recurrence=Recurrence(halting=Halting(bias_start=-1.0)))
    ),
    "bart": EncoderDecoder(**SIZES),
    "t5": EncoderDecoder(**SIZES, **relative(RelativeBias(), residual=PreNorm())),
}


def built(architecture):
    torch.manual_seed(0)
    backbone = architecture.build(Vocabulary(size=40))
    head = architecture.build_lm_head(backbone)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(3)
    return backbone.eval(), head.eval()


def batch():
    """Rows of 5, 9 and 3 pieces, filled up on the right."""
    lengths = torch.tensor([5, 9, 3])
    ids = torch.randint(4, 40, (3, 9), generator=torch.Generator().manual_seed(1))
    ids[torch.arange(9) >= lengths[:, None]] = 0
    return {"input_ids": ids, "last": lengths - 1, "visible_lengths": lengths}


@pytest.mark.parametrize("name", MODELS)
def test_each_piece_alone_is_as_good_as_all_anew(name):
    backbone, head = built(MODELS[name])
    arrays = batch()
    written = torch.randint(4, 40, (6, 7), generator=torch.Generator().manual_seed(2))
    rows = torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.inference_mode():
        writer = Writer(backbone, head, arrays)
        repeated = {key: array[rows] for key, array in arrays.items()}
        for size in range(1, 8):
            parents = None
            if size in (4, 6):  # beams that change places within their row
                parents = torch.tensor([1, 0, 2, 2, 5, 4])
                written[:, : size - 1] = written[parents, : size - 1]
            found = writer(written[:, :size], rows, parents)
            whole = writing_states(backbone, {**repeated, "decoder_input_ids": written[:, :size]})
            torch.testing.assert_close(found, head(whole[:, -1]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["rotary", "t5"])
@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_a_row_is_written_alike_alone_and_in_a_batch(name, method):
    backbone, head = built(MODELS[name])
    arrays = batch()
    with torch.inference_mode():
        together = Generation(method)(Writer(backbone, head, arrays), torch.arange(3), start=1, end=2, longest=12)
        for row in range(3):
            length = int(arrays["visible_lengths"][row])
            one = {key: array[row : row + 1] for key, array in arrays.items()}
            one["input_ids"] = one["input_ids"][:, :length]
            alone = Generation(method)(Writer(backbone, head, one), torch.tensor([row]), start=1, end=2, longest=12)
            mine = [piece for piece in together[row].tolist() if piece >= 0]
            assert mine == [piece for piece in alone[0].tolist() if piece >= 0]


def their_models():
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        GPT2Config,
        GPT2LMHeadModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    yield ("gpt2", GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=64, n_embd=32, n_layer=2, n_head=2, **ends)))
    sides = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
             (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))}  # fmt: skip
    yield "bart", BartForConditionalGeneration(
        BartConfig(vocab_size=40, d_model=32, max_position_embeddings=64, decoder_start_token_id=2,
                   forced_eos_token_id=None, **sides, **ends)
    )  # fmt: skip
    yield "t5", T5ForConditionalGeneration(
        T5Config(vocab_size=40, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, pad_token_id=0,
                 eos_token_id=2, decoder_start_token_id=0)
    )  # fmt: skip


@pytest.mark.parametrize("number", range(3), ids=["gpt2", "bart", "t5"])
def test_transformers_writes_the_same(number, tmp_path):
    """Greedy and beams on the same weights; in a batch with padding (on the left for GPT-2, as transformers
    wants it)."""
    torch.manual_seed(3)
    name, theirs = list(their_models())[number]
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(2.5)
    theirs.eval().save_pretrained(tmp_path)
    backbone, head = import_folder(tmp_path).build()
    backbone, head = backbone.eval(), head.eval()
    arrays = batch()
    lengths, ids = arrays["visible_lengths"], arrays["input_ids"]
    mask = (torch.arange(9) < lengths[:, None]).long()
    start: int | torch.Tensor = {"bart": 2, "t5": 0}.get(name, 0)
    if name == "gpt2":
        start = ids.gather(1, arrays["last"][:, None])[:, 0]
        arrays = {**arrays, "last": arrays["last"] - 1}
        ids = torch.stack([row.roll(9 - int(n)) for row, n in zip(ids, lengths)])
        mask = mask.flip(1)
    with torch.inference_mode():
        # A piece that is likely anyway ends the texts, so that some end early and some late.
        some = Generation()(Writer(backbone, head, arrays), torch.arange(3), start=start, end=-1, longest=10)
    end = int(some[:, 2:].mode().values[0])
    for method, settings, ours in [
        ("greedy", {"num_beams": 1}, {}),
        ("beam", {"num_beams": 4, "length_penalty": 0.0}, {"length_penalty": 0.0}),
        ("beam", {"num_beams": 3, "length_penalty": 0.5},
         {"num_beams": 3, "length_penalty": 0.5, "penalizes": "length"}),
    ]:  # fmt: skip
        with torch.inference_mode():
            found = Generation(method, **ours)(
                Writer(backbone, head, arrays), torch.arange(3), start=start, end=end, longest=40
            )
            expected = theirs.generate(
                input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=40, eos_token_id=end,
                early_stopping="never" if method == "beam" else False, **settings
            )  # fmt: skip
        new = expected[:, 9 if name == "gpt2" else 1 :]
        # transformers lets beams that are open at the end compete with texts that ended; here these go first.
        rows = [row for row in range(3) if method == "greedy" or end in new[row]]
        assert rows
        for row in rows:
            mine, their = found[row].tolist(), new[row].tolist()
            their = their[: their.index(end) + 1] if end in their else their
            assert [piece for piece in mine if piece >= 0] == their
