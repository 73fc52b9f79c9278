"""Several stores in one run: shares by the law, rows those of the stores, a pure function of seed and number."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.mixing.equal import Equal
from afterbert.base.mixing.fixed import Fixed
from afterbert.base.mixing.proportional import Proportional
from afterbert.base.mixing.scheduled import Scheduled
from afterbert.base.noise import Noise
from afterbert.base.sealed import write_sealed
from afterbert.objectives.parts.blending import Blend
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.pairings.sop import Sop
from afterbert.recipes.recipe import resolve
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.mixture import mix_stores, open_store
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.pretraining import feed_of

WORDS = ("the", "miller", "sat", "by", "an", "old", "river", "and", "watched", "seven", "grey", "gulls", "quiet")


def story(documents, seed):
    draw = np.random.default_rng(seed)
    texts = [". ".join(" ".join(draw.choice(WORDS, 7)).capitalize() for _ in range(4)) + "." for _ in range(documents)]
    return "\n\n\n".join(texts)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A large and a small store with one tokenizer, and one with another."""
    root, made = tmp_path_factory.mktemp("stores"), {}
    tokenizer = WordPiece(vocab_size=120, min_frequency=1, lowercase=True)
    for name, documents in (("large", 60), ("small", 12), ("strange", 12)):
        (root / f"{name}.txt").write_text(story(documents, documents + len(name)))
        source = Txt(path=str(root / f"{name}.txt"))
        recipe = (
            tokenizer if name in ("large", "strange") else PretrainedTokenizer(name=str(root / "large" / "tokenizer"))
        )
        recipe = WordPiece(vocab_size=90, min_frequency=1, lowercase=True) if name == "strange" else recipe
        made[name] = prepare([source], root / name, tokenizer=recipe, least_pieces=8, held_out=0.2)
    return made


def mixed(stores, law, out):
    return mix_stores({name: stores[name] for name in ("large", "small")}, law, out)


def recipe(**training):
    found = resolve("bert-mlm", size="tiny", overrides=[("length", "32"), ("training.batch_size", "8")]).recipe
    return replace(found, training=replace(found.training, **training))


def test_the_stores_stand_one_behind_the_other(stores, tmp_path):
    joined = mixed(stores, Proportional(), tmp_path / "mix").split("train")
    parts = [stores[name].split("train") for name in ("large", "small")]
    assert joined.num_pieces == sum(part.num_pieces for part in parts)
    every = np.arange(joined.num_pieces)
    shuffled = np.random.default_rng(0).permutation(every)
    expected = np.concatenate([part.pieces(np.arange(part.num_pieces)) for part in parts])
    np.testing.assert_array_equal(joined.pieces(shuffled), expected[shuffled])
    planes = np.concatenate([part.plane("word_start", np.arange(part.num_pieces)) for part in parts])
    np.testing.assert_array_equal(joined.plane("word_start", shuffled), planes[shuffled])
    texts = [
        part.pieces(np.arange(a, b)) for part in parts for a, b in zip(part.document_starts, part.document_starts[1:])
    ]
    for text, a, b in zip(texts, joined.document_starts[:-1], joined.document_starts[1:], strict=True):
        np.testing.assert_array_equal(joined.pieces(np.arange(a, b)), text)
    assert set(joined.sentence_starts) >= set(joined.document_starts)
    assert len(joined.languages) == joined.num_documents


@pytest.mark.parametrize("pairing", [Packed(), Sop()])
def test_a_row_is_the_stores_own(pairing, stores, tmp_path):
    """With its labels, and in any order."""
    parts = {name: stores[name].split("train") for name in ("large", "small")}
    vocabulary = stores["large"].vocabulary
    plans = {n: pairing.plan(p, length=32, vocabulary=vocabulary, noise=Noise(1)) for n, p in parts.items()}
    blend = Blend(plans, {"large": 5, "small": len(plans["small"]) + 2})
    numbers = np.random.default_rng(1).permutation(len(blend))
    rows, labels = blend.rows(numbers), blend.labels(numbers)
    for place, number in enumerate(numbers):
        name, own = ("large", number) if number < 5 else ("small", (number - 5) % len(plans["small"]))
        one = plans[name].rows(np.array([own]))
        span = slice(*rows.row_starts[place : place + 2])
        np.testing.assert_array_equal(rows.piece_ids[span], one.piece_ids)
        for plane in ("word_start", "special", "segment"):
            np.testing.assert_array_equal(rows.planes[plane][span], one.planes[plane])
        if labels is not None:
            assert labels[place] == plans[name].labels(np.array([own]))[0]
    assert (labels is None) == (pairing == Packed())
    assert len(set(rows.keys.tolist())) == len(blend), "a row that comes round again has other noise"


@pytest.mark.parametrize(("law", "share"), [(Equal(), 0.5), (Fixed({"large": 1.0, "small": 3.0}), 0.75)])
def test_an_epoch_has_the_shares_of_the_law_and_batches_are_a_pure_function(law, share, stores, tmp_path):
    store = mixed(stores, law, tmp_path / "mix")
    feed = feed_of(recipe(), store, store.split("train"))
    size = feed.epochs.num_rows(0)
    drawn = Counter()
    for part in feed.epochs.parts(range(size)):
        drawn.update(feed.epochs.plan(part.epoch).sources(part.numbers).tolist())
    assert drawn[1] / size == pytest.approx(share, abs=1 / size)
    again = feed_of(recipe(), open_store(tmp_path / "mix"), store.split("train"))
    for number in (3, 0, size // 8 + 1):
        for mine, theirs in zip(feed.step(number), again.step(number), strict=True):
            assert all(np.array_equal(mine.arrays[key], theirs.arrays[key]) for key in mine.arrays)


def test_a_proportional_mix_reads_every_row_once(stores, tmp_path):
    store = mixed(stores, Proportional(), tmp_path / "mix")
    plan = feed_of(recipe(), store, store.split("train")).epochs.plan(0)
    assert plan.counts == {name: len(part) for name, part in plan.plans.items()}


def test_a_scheduled_mix_moves_with_the_epochs_and_needs_them(stores, tmp_path):
    law = Scheduled({"large": 1.0, "small": 1.0}, {"large": 0.0, "small": 1.0})
    store = mixed(stores, law, tmp_path / "mix")
    feed = feed_of(recipe(budget=Budget(2, "epochs"), views=None), store, store.split("train"))
    shares = [
        plan.counts["small"] / len(plan) for plan in (feed.epochs.plan(0), feed.epochs.plan(1), feed.epochs.plan(2))
    ]
    assert shares == pytest.approx([0.5, 0.75, 1.0], abs=0.05)
    with pytest.raises(UserError, match="write --budget 3epochs and --training.views null"):
        feed_of(recipe(budget=Budget(9, "steps")), store, store.split("train")).step(0)


def test_what_cannot_be_mixed_is_one_line(stores, tmp_path):
    with pytest.raises(UserError, match="strange was made with another tokenizer than .*large .*; prepare one"):
        mix_stores({name: stores[name] for name in ("large", "strange")}, Equal(), tmp_path / "mix")
    with pytest.raises(UserError, match="gives no weight to 'small'"):
        mixed(stores, Fixed({"large": 1.0}), tmp_path / "mix")
    assert not (tmp_path / "mix").exists()
    mixed(stores, Equal(), tmp_path / "mix")
    path = tmp_path / "mix" / "mixture.json"
    record = json.loads(path.read_text())
    record["stores"]["small"]["fingerprint"] = "0"
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"mixture.json was changed after it was written"):
        open_store(tmp_path / "mix")
    write_sealed(path, record)
    with pytest.raises(UserError, match="the token store with the fingerprint 0 is not at .*small"):
        open_store(tmp_path / "mix")


def test_a_mixture_is_found_again_after_it_was_moved_with_its_stores(stores, tmp_path):
    for name in ("large", "small"):
        shutil.copytree(stores[name].folder, tmp_path / "old" / name)
    copies = {name: open_store(tmp_path / "old" / name) for name in ("large", "small")}
    before = mix_stores(copies, Equal(), tmp_path / "old" / "mix").fingerprint
    (tmp_path / "old").rename(tmp_path / "new")
    assert open_store(tmp_path / "new" / "mix").fingerprint == before
    pieces = tmp_path / "new" / "small" / "train" / "pieces.bin"
    raw = bytearray(pieces.read_bytes())
    raw[len(raw) // 2] ^= 1
    pieces.write_bytes(raw)
    with pytest.raises(UserError, match=r"small/train/pieces.bin was changed"):
        open_store(tmp_path / "new" / "mix")


def test_the_law_is_part_of_what_a_run_is_made_from(stores, tmp_path):
    prints = {mixed(stores, law, tmp_path / f"{n}").fingerprint for n, law in enumerate((Equal(), Proportional()))}
    assert len(prints) == 2
