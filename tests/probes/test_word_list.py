"""Words that translate each other: against Model 1 written out in loops, in scripts with and without spaces."""

import random
from collections import defaultdict

import pytest

from afterbert.base.errors import UserError
from afterbert.cli.main import run as command
from afterbert.probes import translations as counting
from afterbert.probes.translations import word_list
from afterbert.text.word_pairs import HEADER, read_dictionary

GERMAN = {"red": "rot", "blue": "blau", "green": "grün", "one": "eins", "two": "zwei", "mill": "mühle", "the": "die"}


def pairs(count, *, others=None, seed=0, between=" "):
    draw, others = random.Random(seed), others or GERMAN
    texts = [draw.sample(list(others), draw.randint(2, 4)) for _ in range(count)]
    return [(" ".join(text), between.join(others[word] for word in text)) for text in texts]


def by_hand(some, rounds):
    """(word, other) -> how many of the other's places the word is expected to explain, None for no word."""
    held = [([*dict.fromkeys(left.split()), None], [*dict.fromkeys(right.split())]) for left, right in some]
    chance = defaultdict(lambda: 1.0)
    for _ in range(rounds):
        expected, of_word = defaultdict(float), defaultdict(float)
        for left, right in held:
            for other in right:
                total = sum(chance[word, other] for word in left)
                for word in left:
                    expected[word, other] += chance[word, other] / total
                    of_word[word] += chance[word, other] / total
        chance = defaultdict(float, {pair: share / of_word[pair[0]] for pair, share in expected.items()})
    return expected


def test_words_stand_with_the_word_that_explains_them_as_in_model_1_written_out():
    some = pairs(60)
    expected = by_hand(some, counting._ROUNDS)
    found = {pair.other: pair for pair in word_list(*zip(*some), least=1).pairs}
    assert {pair.word: pair.other for pair in found.values()} == GERMAN
    for other, pair in found.items():
        words = {word: share for (word, right), share in expected.items() if right == other}
        assert pair.word == max((word for word in words if word), key=lambda word: words[word])
        assert pair.share == pytest.approx(words[pair.word] / sum(words.values()), rel=1e-6)
        assert pair.num_pairs == sum(pair.word in a.split() and other in b.split() for a, b in some)


@pytest.mark.parametrize(
    "others",
    [
        {"house": "家屋", "water": "水道", "moon": "月光", "road": "道路", "file": "ファイル"},  # Japanese
        {"house": "บ้าน", "water": "น้ำ", "moon": "จันทร์", "road": "ถนน", "file": "แฟ้ม"},  # Thai, with marks above
        {"house": "房子", "water": "水", "moon": "月亮", "road": "街道", "file": "文件"},
    ],
)
def test_what_writes_no_spaces_needs_no_segmenter(others):
    found = word_list(*zip(*pairs(60, others=others, between="")), most=1).pairs
    for pair in found:
        assert pair.other in others[pair.word] or others[pair.word] in pair.other
    assert {pair.word for pair in found} == set(others)


def test_of_more_than_memory_should_hold_the_shortest_are_read(monkeypatch):
    long = ("the mill and " + "so on " * 50, "die mühle und " + "so weiter " * 50)
    some = [*pairs(40), *[long] * 3]
    assert "so" in {pair.word for pair in word_list(*zip(*some)).pairs}
    monkeypatch.setattr(counting, "_MOST_CELLS", 450)
    found = word_list(*zip(*some))
    assert 20 < found.num_read < 43 and "so" not in {pair.word for pair in found.pairs}


def test_marks_of_a_script_belong_to_its_words_and_numbers_to_none():
    hindi = {"book": "किताब", "water": "पानी", "house": "घर", "seven": "7"}
    found = word_list(*zip(*pairs(40, others=hindi))).pairs
    assert {pair.word: pair.other for pair in found} == {word: to for word, to in hindi.items() if word != "seven"}


def test_a_list_is_written_and_read_again(tmp_path, capsys):
    table, list_ = tmp_path / "Sätze en-de.tsv", tmp_path / "Wörter.tsv"
    table.write_bytes("\ufeff".encode() + "".join(f"{a}\t{b}\r\n" for a, b in pairs(60)).encode())
    mine = ["mine-translations", f"en+de={table}", "--out", str(list_)]
    assert command(mine) == 0
    assert f"{len(GERMAN)} translations of {len(GERMAN)} words" in capsys.readouterr().out.replace("\n", " ")
    assert list_.read_text("utf-8").startswith(HEADER) and dict(read_dictionary(list_)) == GERMAN
    assert command(mine) == 0  # what it made itself it may replace
    for wrong, said in (
        (["mine-translations", f"en={table}"], "two languages"),
        (["mine-translations", f"en+de={table}", f"en+is={table}"], "two languages"),
        ([*mine, "--least", "500"], "no words of en+de stand together in 500 of"),
        ([*mine[:-1], str(tmp_path / "fehlt" / "x.tsv")], "make it first"),
        ([*mine[:-1], str(table)], "is not a file that afterbert made"),
    ):
        assert command(wrong) == 2
        assert said in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(UserError, match="no pair of words"):
        (tmp_path / "leer.tsv").write_text(HEADER)
        read_dictionary(tmp_path / "leer.tsv")
