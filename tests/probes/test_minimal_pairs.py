"""Likelihoods of sentences against the definition, one piece at a time."""

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.interop.folder import export_folder
from afterbert.interop.loading import load_model
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.visibility import PaddedVisibility
from afterbert.probes.masked_model import MaskedModel
from afterbert.probes.minimal_pairs import MinimalPairsProbe
from afterbert.probes.readings import reading_of
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.wordpiece import WordPiece

SENTENCES = ["the dogs bark .", "the dogs barks .", "she unbelievably sang", "a", "he sang the song of the dogs ."]


KINDS = {
    "encoder": (Encoder, WordPiece, {}),
    "decoder": (Decoder, ByteLevelBPE, {"ends": "none"}),
    "bart": (EncoderDecoder, ByteLevelBPE, {}),
    "t5": (EncoderDecoder, ByteLevelBPE, {"sentinels": 4, "ends": "last"}),
    "permutation": (Permutation, WordPiece, {}),
}
READINGS = {
    "encoder": ["masked", "within_word"],
    "decoder": ["left_to_right"],
    "bart": ["written_by_word", "written_whole"],
    "t5": ["written_by_word", "written_whole"],
    "permutation": ["masked_by_order", "within_word_by_order"],
}


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return made(tmp_path_factory.mktemp(request.param), request.param)


def made(path, name):
    kind, recipe, settings = KINDS[name]
    size = 60 if recipe is WordPiece else 290
    tokenizer = recipe(vocab_size=size, min_frequency=1, **settings).make(SENTENCES * 4, corpus_bytes=400)
    tokenizer.save(path / "tokenizer")
    architecture = kind(hidden_size=32, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64)
    torch.manual_seed(0)
    backbone = architecture.build(tokenizer.vocabulary)
    head = architecture.build_lm_head(backbone)
    with torch.no_grad():
        for parameter in (*backbone.parameters(), *head.parameters()):
            parameter.mul_(4)  # so that likelihoods differ much from uniform ones
    export_folder(
        path / "model",
        architecture,
        backbone,
        {"lm_head": head},
        vocabulary=tokenizer.vocabulary,
        tokenizer=path / "tokenizer",
        or_own=True,
    )
    return path


@pytest.mark.parametrize("asks", [MaskedModel, TextGenerator])
def test_a_permutation_is_not_sent_from_filling_to_writing_and_back(asks, tmp_path):
    with pytest.raises(UserError, match="score --pairs|choose a decoder") as refused:
        asks.of(load_model(made(tmp_path, "permutation") / "model"))
    assert not any(f"`afterbert {verb}`" in str(refused.value) for verb in ("fill", "generate"))


class Reader:
    """A loaded model and its view that names pieces."""

    def __init__(self, path):
        loaded = load_model(path)
        named = loaded.language_model()
        self.tokenizer, self.reading = loaded.tokenizer, reading_of(loaded.architecture)
        self.backbone, self.lm_head, self.predict = named.backbone, named.lm_head, named.predict


def chance(reader, hidden, target):
    return reader.lm_head(hidden[None]).log_softmax(-1)[0, target].item()


def by_definition(reader, sentence, reading):
    """The sum over pieces, each asked alone in a row of its own."""
    with torch.inference_mode():
        if reading == "left_to_right":
            return _causal(reader, sentence)
        if reading.startswith("written"):
            return _written(reader, sentence, reading)
        return _hidden(reader, sentence, reading)


def _causal(reader, sentence):
    known = reader.tokenizer.vocabulary
    row = [known.bos or known.cls, *reader.tokenizer.encode(sentence)]
    return sum(
        chance(reader, reader.backbone(torch.tensor([row[: i + 1]]))[0, i], row[i + 1]) for i in range(len(row) - 1)
    )


def _hidden(reader, sentence, reading):
    encoding, total = reader.tokenizer.plain.encode(sentence), 0.0
    for place, is_special in enumerate(encoding.special_tokens_mask):
        if is_special:
            continue
        hidden = [
            i == place or (i > place and "within" in reading and word == encoding.word_ids[place])
            for i, word in enumerate(encoding.word_ids)
        ]
        if reading.endswith("order"):
            rank = [[2 * is_hidden - (i == place) for i, is_hidden in enumerate(hidden)]]
            states = reader.backbone(
                torch.tensor([encoding.ids]),
                visibility=PaddedVisibility(rank=torch.tensor(rank)),
                query_positions=torch.tensor([[place]]),
            )
            total += chance(reader, states.query[0, 0], encoding.ids[place])
        else:
            mask = reader.tokenizer.vocabulary.mask
            row = [mask if is_hidden else piece for is_hidden, piece in zip(hidden, encoding.ids)]
            total += chance(reader, reader.backbone(torch.tensor([row]))[0, place], encoding.ids[place])
    return total


def _written(reader, sentence, reading):
    known, total = reader.tokenizer.vocabulary, 0.0
    encoding = reader.tokenizer.plain.encode(sentence, add_special_tokens=False)
    words = [0] * len(encoding.ids) if reading == "written_whole" else encoding.word_ids
    for place, piece in enumerate(encoding.ids):
        same = [i for i, word in enumerate(words) if word == words[place]]
        before, word, behind = (encoding.ids[: same[0]], encoding.ids[same[0] : place], encoding.ids[same[-1] + 1 :])
        if known.sentinels:
            read = [*before, known.sentinels[0], *behind, known.sep or known.eos]
            written = [known.pad, known.sentinels[0], *word]
        else:
            read = [known.cls, *before, known.mask, *behind, known.sep]
            written = [known.eos, known.cls, *before, *word]
        states = reader.backbone(torch.tensor([read]), torch.tensor([written]))
        total += chance(reader, states[0, -1], piece)
    return total


def test_batches_give_what_the_definition_says(folder, request):
    reader = Reader(folder)
    readings = READINGS[request.node.callspec.params["folder"]]
    assert reader.reading in readings
    for reading in readings:
        for pieces in (40, 4000):
            probe = MinimalPairsProbe(reader.predict, reading, pieces_at_once=pieces)
            found = probe.log_likelihoods(reader.tokenizer, SENTENCES)
            expected = [by_definition(reader, sentence, reading) for sentence in SENTENCES]
            np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_transformers_finds_the_same(name, tmp_path):
    """A plain loop over pieces with transformers' own class on the exported folder."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    made(tmp_path, name)
    reader = Reader(tmp_path)
    kind = AutoModelForCausalLM if name == "decoder" else AutoModelForMaskedLM
    theirs = kind.from_pretrained(tmp_path / "model").eval()
    probe = MinimalPairsProbe(reader.predict, "left_to_right" if name == "decoder" else "masked")
    found = probe.log_likelihoods(reader.tokenizer, SENTENCES)
    known = reader.tokenizer.vocabulary
    for sentence, mine in zip(SENTENCES, found):
        total = 0.0
        with torch.inference_mode():
            if name == "decoder":
                ids = torch.tensor([[known.bos or known.cls, *reader.tokenizer.encode(sentence)]])
                chances = theirs(ids).logits.log_softmax(-1)[0]
                total = sum(chances[i, ids[0, i + 1]].item() for i in range(ids.shape[1] - 1))
            else:
                ids = torch.tensor([reader.tokenizer.plain.encode(sentence).ids])
                for place in range(1, ids.shape[1] - 1):
                    shown = ids.clone()
                    shown[0, place] = known.mask
                    total += theirs(shown).logits.log_softmax(-1)[0, place, ids[0, place]].item()
        assert mine == pytest.approx(total, rel=1e-5)


def test_hiding_the_rest_of_a_word_changes_words_of_several_pieces_only(tmp_path):
    reader = Reader(made(tmp_path, "encoder"))
    masked, within = (
        MinimalPairsProbe(reader.predict, reading).log_likelihoods(reader.tokenizer, SENTENCES)
        for reading in ("masked", "within_word")
    )
    for number, sentence in enumerate(SENTENCES):
        words = [w for w in reader.tokenizer.plain.encode(sentence).word_ids if w is not None]
        assert (masked[number] == pytest.approx(within[number])) == (len(set(words)) == len(words))


def test_preferences_are_counted_by_group(folder):
    reader = Reader(folder)
    pairs = [(SENTENCES[0], SENTENCES[1]), (SENTENCES[1], SENTENCES[0]), ("a", "a")]
    found = MinimalPairsProbe(reader.predict, reader.reading)(reader.tokenizer, pairs, ["x", "y", "tie"])
    assert found.margins[0] == -found.margins[1] != 0
    assert found.by_group["x"] + found.by_group["y"] == 1.0
    assert found.by_group["tie"] == 0.0
    assert found.accuracy == pytest.approx(1 / 3)


def test_a_folder_without_a_head_is_one_line(tmp_path):
    recipe = WordPiece(vocab_size=60, min_frequency=1, lowercase=True).make(SENTENCES * 4, corpus_bytes=400)
    recipe.save(tmp_path / "tokenizer")
    architecture = Encoder(hidden_size=32, intermediate_size=64, max_position_embeddings=64)
    backbone = architecture.build(recipe.vocabulary)
    export_folder(
        tmp_path / "model",
        architecture,
        backbone,
        {"lm_head": architecture.build_lm_head(backbone)},
        vocabulary=recipe.vocabulary,
        tokenizer=tmp_path / "tokenizer",
    )
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "model" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("cls.")}
    save_file(kept, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        UserError, match="has no language-model head, so it cannot fill in, write, or say how likely a sentence is"
    ):
        load_model(tmp_path).language_model()
