"""What a fresh model knows of the text before its first step."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from afterbert.cli.main import run as command
from afterbert.models.encoder import Encoder
from afterbert.nn.sharing.by_language import ShareByLanguage
from afterbert.nn.stack import Stack
from afterbert.objectives.masked_lm import MaskedLM
from afterbert.objectives.parts.starts import neighbour_vectors, sample, start_vectors, translation_vectors
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from afterbert.text.token_store.store import Store
from toy_corpus import built, toy_split

TASK = Pretext(Packed(bounds="keep"), (Edit(FixedCount(rate=0.3), Mask()),), (InPlace(),))
# some pieces follow others
TEXT = np.random.default_rng(0).choice(12, size=3000, p=np.arange(1, 13) / 78)
TEXT = np.where(np.arange(3000) % 3 == 2, (TEXT + np.roll(TEXT, 1)) % 12, TEXT).astype(np.int32)


def counted_by_hand(text: np.ndarray, size: int) -> np.ndarray:
    """Positive pointwise mutual information with contexts at -2, -1, 1 and 2, pair by pair."""
    blocks = []
    for distance in (1, -1, 2, -2):
        counts = np.zeros((size, size))
        for at, piece in enumerate(text):
            if 0 <= at + distance < len(text):
                counts[piece, text[at + distance]] += 1
        shares = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            blocks.append(np.nan_to_num(np.maximum(np.log(counts / counts.sum(1, keepdims=True) / shares), 0), nan=0))
    return np.hstack(blocks)


def test_pieces_are_as_alike_as_the_singular_vectors_of_what_is_counted() -> None:
    found = neighbour_vectors(TEXT, 12, 64)
    assert found.shape == (12, 12) and found.dtype == np.float32
    left, values, _ = np.linalg.svd(counted_by_hand(TEXT, 12), full_matrices=False)
    exact = left * np.sqrt(values)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(found @ found.T, exact @ exact.T, atol=1e-4)


ELSEWHERE = """
import numpy as np
from afterbert.objectives.parts.starts import neighbour_vectors
text = np.random.default_rng(1).integers(8, 120, size=200).astype(np.int32)
print(np.round(neighbour_vectors(text, 120, 120), 5).ravel().tolist())
"""


@pytest.mark.parametrize("kernels", ["Haswell", "Prescott"])
def test_the_same_vectors_on_another_processor(kernels: str) -> None:
    """Of a text so small that most directions are nothing but rounding; OpenBLAS computes as other processors do."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernels, "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", ELSEWHERE], env=environment, capture_output=True, check=True)
    text = np.random.default_rng(1).integers(8, 120, size=200).astype(np.int32)
    np.testing.assert_allclose(json.loads(told.stdout), neighbour_vectors(text, 120, 120).ravel(), atol=2e-5)


def test_the_table_keeps_its_size_its_mean_and_what_no_text_tells() -> None:
    drawn = torch.randn(12, 8, generator=torch.Generator().manual_seed(0)) * 0.02 + 0.5
    table = drawn.clone()
    start_vectors(table, neighbour_vectors(np.where(TEXT < 10, TEXT, 0), 12, 8))
    assert torch.equal(table[10:], drawn[10:]) and not torch.isclose(table[:10], drawn[:10]).all()
    size = (drawn - drawn.mean(0)).square().mean().sqrt()
    lengths = (table[:10] - drawn.mean(0)).norm(dim=1)
    torch.testing.assert_close(lengths, (size * 8**0.5).expand(10), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("start", ["drawn", "neighbours", "translations"])
def test_a_recipe_says_where_vectors_start(start: Any) -> None:
    objective = MaskedLM(TASK, token_vectors_start=start)
    module, split = (
        built(objective, Encoder(hidden_size=32, intermediate_size=48, max_position_embeddings=48)),
        toy_split(),
    )
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    objective.begin(module, split)
    changed = [name for name, weight in module.state_dict().items() if not torch.equal(weight, before[name])]
    assert changed == (["backbone.embeddings.token.weight"] if start != "drawn" else [])


def test_words_and_their_translations_start_alike(tmp_path) -> None:
    """Of a made-up language the words of which are English ones, in another order and behind other articles."""
    draw = np.random.default_rng(0)
    words = [a + b for a in ("bo", "ka", "mi", "tu", "re", "lo") for b in ("d", "n", "s", "l", "t")]
    picked = [draw.choice(len(words), 4, replace=False) for _ in range(400)]
    lines = [
        " ".join(f"the {words[one]}" for one in some) + "\t" + " ".join(f"ge {words[one]}x" for one in some[::-1])
        for some in picked
    ]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "store"
    told = ["--lang", f"en+is={tmp_path / 'pairs.tsv'}", "--vocab-size", "400", "--held-out", "0", "--out", str(out)]
    assert command(["prepare", *told]) == 0
    store = Store.open(out)
    split, special = store.split("train"), store.vocabulary.is_special

    def piece(word: str) -> int:
        (found,) = (one for one in store.tokenizer.encode(word) if not special[one])
        return found

    vectors = translation_vectors(split, store.vocabulary.size, 32)
    english, other = ([piece(word + end) for word in words] for end in ("", "x"))
    assert ((vectors[english] @ vectors[other].T).argmax(1) == np.arange(len(words))).all()
    size = store.vocabulary.size
    own = translation_vectors(store.telling(("en", "is")).split("train"), 2 * size, 32, tables=2)
    assert ((own[:size][english] @ own[size:][other].T).argmax(1) == np.arange(len(words))).all()
    assert not own[size:][english].any(), "in the table of a language, a piece of the other one is as drawn"
    tables = Encoder(hidden_size=32, stack=Stack(sharing=ShareByLanguage(("en", "is"), layers=0, embeddings=True)))
    objective = MaskedLM(TASK, token_vectors_start="neighbours")
    module = objective.build(tables, store.vocabulary)
    table = module.backbone.embeddings.token.weight
    drawn = table.detach().clone()
    objective.begin(module, store.telling(("en", "is")).split("train"))
    assert (table != drawn).any(1).nonzero().flatten().tolist() == np.flatnonzero(own.any(1)).tolist()
    by_neighbours = neighbour_vectors(sample(split), size, 32)
    found = (by_neighbours[english] @ by_neighbours[other].T).argmax(1) == np.arange(len(words))
    assert found.mean() < 0.3


def test_without_pairs_the_neighbours_tell(monkeypatch) -> None:
    split = toy_split()
    monkeypatch.setattr(type(split), "pairs", (split, np.zeros(0, np.int64)))
    found = translation_vectors(split, 120, 16)
    assert np.array_equal(found, neighbour_vectors(sample(split), 120, 16))


def test_a_sample_comes_from_all_over_the_text() -> None:
    split = toy_split()
    whole = sample(split)
    assert np.array_equal(whole, split.pieces(np.arange(split.num_pieces)))
    some = sample(split, most=100)
    assert len(some) == 100 and np.array_equal(some[:2], whole[:2]) and np.array_equal(some[-2:], whole[-2:])
