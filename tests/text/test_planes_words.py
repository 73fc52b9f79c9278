"""Word and sentence starts against a slow oracle, for every tokenizer, on invented text of many scripts."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import rjieba
from hypothesis import given
from hypothesis import strategies as st
from word_oracle import sentence_numbers, starts, word_numbers

from afterbert.base.errors import UserError
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.planes import word_start
from afterbert.text.planes.document_start import DocumentStart
from afterbert.text.planes.sentence_start import SentenceStart
from afterbert.text.planes.word_start import CHARACTERS, WordStart
from invented_texts import ALL, CHINESE, ENGLISH, LANGUAGES, RECIPES, THAI, tokenizer_called

FRAGMENTS = st.sampled_from(
    [
        *"abé'’-.3 \n\t",
        "  ",
        "don't",
        "well-known",
        "我们",
        "あ",
        "カー",
        "ไทย",
        "👩‍👩‍👧",
        "🇩🇪",
        "e\u0301",
        "\u0301",
        "\u200d",
        "\u3000",
        "ﬁ",
    ]
)
TEXTS = st.lists(FRAGMENTS, max_size=25).map("".join)


def expected(plane_starts, texts, name):
    """The oracle's values for all pieces of these texts, encoded one by one."""
    backend = tokenizer_called(name).plain
    values = []
    for text in texts:
        spans = backend.encode(text, add_special_tokens=False).offsets
        values += starts(plane_starts(text), spans)
    return np.array(values, dtype=bool)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("hyphens", ["alone", "inside"])
@pytest.mark.parametrize("apostrophes", ["alone", "inside"])
def test_words_as_the_oracle_finds_them(name, hyphens, apostrophes):
    plane = WordStart(apostrophes=apostrophes, hyphens=hyphens, chinese="characters", unspaced="characters")
    wanted = expected(
        lambda t: word_numbers(t, hyphens=hyphens == "inside", apostrophes=apostrophes == "inside"), ALL, name
    )
    assert np.array_equal(plane(PieceEncoder(tokenizer_called(name))(ALL)), wanted)


@pytest.mark.parametrize("name", RECIPES)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_words_of_any_text_as_the_oracle_finds_them(name, texts):
    found = CHARACTERS(PieceEncoder(tokenizer_called(name))(texts))
    assert np.array_equal(found, expected(word_numbers, texts, name))


@pytest.mark.parametrize("name", RECIPES)
def test_chinese_words_are_those_of_jieba(name):
    def numbers(text):
        begins = np.cumsum([0, *map(len, rjieba.cut(text))])
        return word_numbers(text, chinese=set(begins.tolist()))

    found = WordStart(chinese="jieba")(PieceEncoder(tokenizer_called(name))(CHINESE, ("zh", None)))
    assert np.array_equal(found, expected(numbers, CHINESE, name))
    assert found.sum() < CHARACTERS(PieceEncoder(tokenizer_called(name))(CHINESE)).sum()


def test_japanese_is_not_cut_by_a_chinese_segmenter():
    encoder = PieceEncoder(tokenizer_called("bpe"))
    for texts, languages in ((["日本語の文章"], [None]), (["日本文章"], ["ja"])):
        encoded = encoder(texts, languages)
        assert np.array_equal(replace(CHARACTERS, chinese="jieba")(encoded), CHARACTERS(encoded))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ภาษาไทย 😀 กำลังเรียน2ภาษาx", ["ภาษา", "ไทย", "😀", "กำลัง", "เรียน", "2", "ภาษา", "x"]),
        ("ខ្ញុំស្រលាញ់ភាសាខ្មែរ", ["ខ្ញុំ", "ស្រលាញ់", "ភាសាខ្មែរ"]),
        ("ຂ້ອຍຮັກພາສາລາວ", ["ຂ້ອຍ", "ຮັກ", "ພາສາ", "ລາວ"]),
        ("日本語の文章です", ["日本語", "の", "文章", "です"]),
        ("မြန်မာစကားပြောတယ်", ["မြန်မာ", "စကားပြော", "တယ်"]),
    ],
)
def test_words_of_scripts_without_spaces_are_those_of_icu(text, words):
    pytest.importorskip("icu")
    encoded = PieceEncoder(tokenizer_called("bpe"))([text, "plain words"])
    starts = np.flatnonzero(WordStart(unspaced="icu", chinese="characters").first_characters(encoded))
    bounds = [*starts[starts < len(text)].tolist(), len(text)]
    assert [text[begin:end].strip() for begin, end in itertools.pairwise(bounds)] == words


def test_without_the_segmenter_chinese_falls_to_characters_with_a_word(monkeypatch):
    monkeypatch.setattr(word_start, "_has", lambda module: False)
    encoder = PieceEncoder(tokenizer_called("wordpiece"))
    with pytest.warns(UserWarning, match=r"no segmenter.*afterbert\[zh\]"):
        found = WordStart()(encoder(CHINESE))
    assert np.array_equal(found, CHARACTERS(encoder(CHINESE)))
    assert WordStart().settled() == CHARACTERS
    with pytest.warns(UserWarning, match=r"Thai.*no segmenter.*afterbert\[icu\]"):
        WordStart()(encoder(THAI))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WordStart()(encoder(ENGLISH))
    with pytest.raises(UserError, match="not installed"):
        WordStart(chinese="jieba")


@pytest.mark.parametrize("name", RECIPES)
def test_sentences_as_the_oracle_finds_them(name):
    encoder = PieceEncoder(tokenizer_called(name))
    wanted = np.concatenate(
        [expected(lambda t, code=code: sentence_numbers(t, code), [text], name) for text, code in zip(ALL, LANGUAGES)]
    )
    found = SentenceStart()(encoder(ALL, LANGUAGES))
    assert np.array_equal(found, wanted)
    assert not (found & ~CHARACTERS(encoder(ALL, LANGUAGES))).any()


@given(text=TEXTS)
def test_sentences_of_any_text_as_the_oracle_finds_them(text):
    found = SentenceStart()(PieceEncoder(tokenizer_called("bpe"))([text]))
    assert np.array_equal(found, expected(lambda t: sentence_numbers(t, "en"), [text], "bpe"))


def test_lines_end_sentences_when_asked():
    encoded = PieceEncoder(tokenizer_called("wordpiece"))(["A title\nThe rivers were long\nforgotten. Nobody knew"])
    assert SentenceStart()(encoded).sum() == 2
    assert SentenceStart(lines_end_sentences=True)(encoded).sum() == 4


def test_documents_begin_once():
    encoded = PieceEncoder(tokenizer_called("unigram"))(["", *ALL, ""])
    found = DocumentStart()(encoded)
    assert np.array_equal(np.flatnonzero(found), np.unique(encoded.piece_starts)[:-1])
