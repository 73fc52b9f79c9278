"""Retrieval, rotation and similarity on vectors whose answer is known; means of groups of pieces; refusals."""

import gzip
import unicodedata

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.cli.main import run as command
from afterbert.interop.loaded import LoadedModel
from afterbert.models.encoder import Encoder
from afterbert.probes.alignment import found_both_ways, linear_cka, normalized, rotation
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel
from afterbert.probes.layer_means import ReadTexts, layer_means
from afterbert.probes.translations import translations
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.word_pairs import read_dictionary
from afterbert.workflows.alignment import align_models, read_pairs

RANDOM = np.random.default_rng(0)
GERMAN = dict(zip(["red", "blue", "green", "one", "two", "three"], ["rot", "blau", "grün", "eins", "zwei", "drei"]))


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def pairs(count=60):
    texts = dict.fromkeys(" ".join(RANDOM.choice(list(GERMAN), 4)) for _ in range(3 * count))
    return [(text, " ".join(GERMAN[word] for word in text.split())) for text in list(texts)[:count]]


def loaded(name="one", **sizes):
    texts = [" ".join([*GERMAN, *GERMAN.values()])] * 9
    tokenizer = ByteLevelBPE(vocab_size=330, min_frequency=1).make(texts, corpus_bytes=400)
    kind = Encoder(**{"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 64, **sizes})
    return LoadedModel(name, kind, tokenizer, {}, None)


def test_a_rotation_is_learned_and_found_on_rows_it_was_not_learned_on():
    x = normalized(normal(200, 16) + 3)  # a mean, which normalization takes away
    turn = np.linalg.qr(normal(16, 16))[0]
    y = x @ turn + 0.01 * normal(200, 16)
    w = rotation(x[:100], y[:100])
    np.testing.assert_allclose(w @ w.T, np.eye(16), atol=1e-5)
    assert all(hits.all() for hits in found_both_ways(x[100:] @ w, y[100:]))
    assert not any(hits.mean() > 0.1 for hits in found_both_ways(x[100:], y[100:]))


def test_a_row_that_is_near_to_everything_misleads_the_cosine_and_not_csls():
    own = np.eye(40, dtype=np.float32)
    x = own + 1.0  # all rows lean towards the middle, where the hub of y is
    y = own + 0.35
    y[0] = 1.0
    cosine, csls = (found_both_ways(x, y, measure)[0].mean() for measure in ("cosine", "csls"))
    assert cosine < 0.1 and csls > 0.9


def test_cka_knows_a_space_again_and_tells_strangers():
    x = normal(2000, 8)
    assert linear_cka(x, 2 * x @ np.linalg.qr(normal(8, 8))[0] + 1) == pytest.approx(1.0, abs=1e-5)
    assert linear_cka(x, normal(2000, 5)) < 0.02
    half = np.concatenate((x[:, :4], normal(2000, 4)), axis=1)
    assert linear_cka(x, half) == pytest.approx(0.5, abs=0.05)


def test_means_of_groups_are_those_of_the_states():
    model = loaded()
    frozen = FrozenModel(model.architecture, model.backbone().eval(), model.tokenizer)
    texts = ["red blue", "one", "Blue two three grün one two"]
    reading = ReadTexts.of(texts, frozen, length=64)
    groups = {"rows": reading.sentences, "words": reading.types({"blue": 0, "grün": 1, "none": 2})}
    groups["places"] = reading.occurrences([(2, "grün"), (0, "blue")])
    found = layer_means(frozen, reading, groups)
    for layer in (0, 1):
        expected = FrozenFeatures(layer=layer).sentences(frozen, [(text,) for text in texts])
        np.testing.assert_allclose(found["rows"][layer], expected, atol=1e-5)
    np.testing.assert_allclose(found["rows"][2], FrozenFeatures().sentences(frozen, [(t,) for t in texts]), atol=1e-5)
    at_places, of_words = found["places"][1], found["words"][1]
    np.testing.assert_allclose(of_words[1], at_places[0], atol=1e-6)
    encoding = model.tokenizer.plain.encode(texts[0])
    own = [n for n, (begin, end) in enumerate(encoding.offsets) if end > begin and begin >= 3]
    with torch.inference_mode():
        states = frozen.all_states(torch.tensor([encoding.ids]), torch.tensor([len(encoding.ids)]))[1][0]
    np.testing.assert_allclose(at_places[1], states[own].mean(0), atol=1e-5)
    assert not of_words[2].any() and not np.allclose(of_words[0], at_places[1])


def test_a_model_and_itself_agree_after_the_rotation_and_strangers_do_not():
    same = [(text, text) for text, _ in pairs(100)]
    found = align_models([loaded(), loaded("two")], same)  # both draw the same weights
    assert found.rotated and {one.level for one in found.layers} == {"sentences"}
    assert all(one.csls[0].value == one.cosine[1].value == 1.0 for one in found.layers if one.layer)
    assert found.layers[0].cka.value == pytest.approx(1.0)
    other = align_models([loaded()], pairs(100), dictionary=list(GERMAN.items()))
    assert other.best().both_ways < 0.3
    low, high = other.layers[0].csls[0].interval
    assert low <= other.layers[0].csls[0].value <= high and other.layers[0].csls[0].beside["chance"] == 0.01


def test_words_are_counted_in_texts_and_read_from_files(tmp_path):
    assert dict(translations(*zip(*pairs()))) == GERMAN
    path = tmp_path / "muse wörter.txt"
    path.write_text("Red rot\nblue\tblau\n\nred rot\n", "utf-8")
    assert read_dictionary(path) == [("red", "rot"), ("blue", "blau")]
    for wrong in ("blue", "New York Nueva York", "blue\t"):
        path.write_text(f"red rot\n{wrong}\n", "utf-8")
        with pytest.raises(UserError, match=r"txt:2: is no word and its translation"):
            read_dictionary(path)


def test_every_layout_of_pairs_is_aligned(tmp_path):
    numbered, plain = tmp_path / "þýðingar.en-de.tsv", pairs(30)
    lines = [f"{n}\t{a}\t{n + 90}\t{b}" for n, (a, b) in enumerate(plain)]
    numbered.write_text("\ufeff" + unicodedata.normalize("NFD", "\r\n".join(lines)), "utf-8")
    assert set(read_pairs((str(numbered),), 100)[0]) == set(plain)
    (tmp_path / "a.en.gz").write_bytes(gzip.compress("\n".join(a for a, _ in plain).encode()))
    (tmp_path / "a.de").write_text("\n".join(b for _, b in plain), "utf-8")
    assert set(read_pairs((f"{tmp_path}/a.en.gz", f"{tmp_path}/a.de"), 100)[0]) == set(plain)


def test_words_that_overlap_each_have_their_mean():
    model = loaded()
    frozen = FrozenModel(model.architecture, model.backbone().eval(), model.tokenizer)
    reading = ReadTexts(
        [[3, 4, 5, 6]], [[("北京", np.array([1])), ("京大", np.array([1, 2])), ("大学", np.array([2]))]]
    )
    words = reading.types({"北京": 0, "京大": 1, "大学": 2})
    found = layer_means(frozen, reading, {"": words})[""]
    np.testing.assert_allclose(found[:, 1], (found[:, 0] + found[:, 2]) / 2, atol=1e-6)
    assert found[1:].any(axis=2).all()


def test_what_cannot_be_compared_is_refused_in_a_line(tmp_path, capsys):
    one, other, table = (tmp_path / name for name in ("a.en", "a.de", "x.en-de.tsv"))
    rows = pairs(30)
    table.write_text("\n".join(f"{a}\t{b}" for a, b in rows) + "\n", "utf-8")
    found, codes = read_pairs((str(table),), 25)
    assert len(found) == 25 and set(found) < set(rows) and codes == ("en", "de")
    one.write_text("\n".join(a for a, _ in rows), "utf-8")
    other.write_text("\n".join(b for _, b in rows[:-1]), "utf-8")
    with pytest.raises(UserError, match=r"a.en:30: this line has no partner, .*a.de ends at line 29"):
        read_pairs((str(one), str(other)), 100)
    table.write_text("a\tb\nno second text\n", "utf-8")
    with pytest.raises(UserError, match=r"tsv:2: the line has one column"):
        read_pairs((str(table),), 100)
    for wrong, said in (
        ({"hidden_size": 48}, "is 32 numbers wide and two 48"),
        ({"num_hidden_layers": 1}, "layers deep"),
    ):
        with pytest.raises(UserError, match=said):
            align_models([loaded(), loaded("two", **wrong)], rows)
    with pytest.raises(UserError, match="nothing to find"):
        align_models([loaded()], [(a, a) for a, _ in rows])
    assert command(["align", "m", "t.tsv", "--languages", "en"]) == 2
    assert "write two codes" in capsys.readouterr().err
    assert command(["align", "m", "t.tsv", "--languages", "en,jp"]) == 2
    assert "did you mean 'ja'" in capsys.readouterr().err
