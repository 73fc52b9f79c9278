"""Planes of listed units against a slow oracle, for every tokenizer; lists and their mistakes; stores with phrases
and entities, up to the laws of choice."""

import pickle
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_fixtures import SMALL, corpus
from word_oracle import kind_of, word_numbers

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.cli.main import run as afterbert
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.mixed_units import MixedUnits
from afterbert.pretext.selections.staged import Staged
from afterbert.pretext.units import units_of
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.planes._listed import read_list
from afterbert.text.planes.entity import Entity
from afterbert.text.planes.phrase import Phrase
from afterbert.text.planes.word_start import WordStart
from afterbert.text.token_store.coverage import coverage_of
from afterbert.text.token_store.prepare import add_plane, prepare
from afterbert.text.token_store.store import Store
from invented_texts import ALL, CHINESE, RECIPES, tokenizer_called

ENTRIES = {
    "a": "",
    "a b": "X",
    "b é": "",
    "a b é 3": "Y",
    "don't a": "X",
    "well - known": "Z",
    "我们 a": "",
    "们": "Y",
    "ไท": "",
    ". .": "X",
    "👩‍👩‍👧 3": "W",
}
FRAGMENTS = st.sampled_from(
    [*"aAbé3.-'’ \n\t", " ", "  ", "\n\n", "don’t", "B", "well-known", "我们", "ไทย", "👩‍👩‍👧", "e\u0301", "\u0301"]
)
TEXTS = st.lists(FRAGMENTS, max_size=30).map("".join)


def listed(path, entries):
    path.write_text("".join(f"{text}\t{kind}\n" for text, kind in entries.items()), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def phrases(tmp_path_factory):
    return Phrase(listed(tmp_path_factory.mktemp("list") / "phrases.tsv", ENTRIES), chinese="characters")


def words_in(text):
    """(word, line ends before it, number) of each word, without regard to case and kind of apostrophe."""
    found, gap, numbers = [], 0, word_numbers(text)
    for character, number in zip(text, numbers):
        if kind_of(character) == "space":
            gap += character == "\n"
            continue
        character = {"quote": "'", "hyphen": "-"}.get(kind_of(character), character.lower())
        if found and found[-1][2] == number:
            found[-1] = (found[-1][0] + character, found[-1][1], number)
        else:
            found.append((character, gap, number))
            gap = 0
    return found


def expected(text, spans, entries):
    """The oracle's values for one text whose pieces have these offsets."""
    words, numbers = words_in(text), word_numbers(text)
    known = {tuple(word for word, _, _ in words_in(entry)): kind for entry, kind in entries.items()}
    codes = {kind: code for code, kind in enumerate(sorted({"", *entries.values()}))}
    untils = (max(end, 1 if i == 0 else begin) for i, (begin, end) in enumerate(spans))
    reached = list(accumulate((max(numbers[:until], default=0) for until in untils), max))
    values, at = [0] * len(spans), 0
    while at < len(words):
        for size in range(max(map(len, known)), 0, -1):
            part = words[at : at + size]
            key = tuple(word for word, _, _ in part)
            if key in known and all(gap < 2 for _, gap, _ in part[1:]):
                first, last = part[0][2], part[-1][2]
                # Pieces belong to the last word that begins in them; those before the next word are inside.
                inside = [i for i, word in enumerate(reached) if first <= word <= last]
                for i in inside:
                    values[i] = codes[known[key]] << 2 | 2 | (i == inside[0])
                break
        else:
            size = 1
        at += size
    return values


@pytest.mark.parametrize("name", RECIPES)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_phrases_of_any_text_as_the_oracle_finds_them(name, phrases, texts):
    tokenizer = tokenizer_called(name)
    wanted = []
    for text in texts:
        offsets = tokenizer.plain.encode(text, add_special_tokens=False).offsets
        wanted += expected(text, offsets, ENTRIES)
    assert phrases(PieceEncoder(tokenizer)(texts)).tolist() == wanted


def units(plane, texts, name="bpe", languages=None):
    """The texts of the units a plane finds."""
    encoded = PieceEncoder(tokenizer_called(name))(texts, languages)
    values = plane(encoded)
    text, found = "".join(encoded.texts), []
    for begin in np.flatnonzero(values & 1):
        inside = np.append(values[begin + 1 :] & 3, 0) == 2
        found.append(text[encoded.begins[begin] : encoded.ends[begin + int(np.argmin(inside))]].rstrip())
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_phrases_for_every_tokenizer(name, tmp_path):
    entries = dict.fromkeys(
        ["well-known miller", "o'neil’s mill", "rock 'n' roll", "自然语言", "re-opened at", "it"], ""
    )
    found = units(Phrase(listed(tmp_path / "list.tsv", entries)), ALL, name)
    assert found == ["well-known miller", "O’Neil’s mill", "re-opened at", "rock 'n' roll", "自然语言"]


def test_the_longest_from_left_to_right_over_lines_but_not_paragraphs(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("new york\nnew york city\ncity hall\nyork city hall in\n")
    texts = ["a new york city hall", "York city hall in new\n york", "new\n\nyork city hall", "new", "york"]
    assert units(Phrase(str(path)), texts) == ["new york city", "York city hall in", "new\n york", "city hall"]
    assert units(Phrase(str(path), case="kept"), texts) == ["new york city", "city hall", "new\n york", "city hall"]


def test_phrases_over_each_other_without_end(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a a\na a a\n")
    assert units(Phrase(str(path)), ["a " * 1001]) == ["a a a"] * 333 + ["a a"]


def test_case_counts_for_entities_unless_told_otherwise(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("May\n")
    texts = ["may May MAY be"]
    assert units(Entity(str(path)), texts) == ["May"]
    assert units(Entity(str(path), case="ignored"), texts) == ["may", "May", "MAY"]


def test_chinese_phrases_begin_and_end_with_words(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("京大\n北京大学学习\n", encoding="utf-8")
    pytest.importorskip("rjieba")
    assert units(Phrase(str(path), chinese="jieba"), CHINESE) == ["北京大学学习"]
    path.write_text("京大\n", encoding="utf-8")
    assert units(Phrase(str(path), chinese="jieba"), CHINESE) == []
    assert units(Phrase(str(path), chinese="characters"), CHINESE) == ["京大"]


def test_a_list_as_people_and_chunkers_write_it(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_bytes(
        "\ufefftext\ttype\tcount\r\n cafe\u0301 \tNP\t3\r\n\r\nin\tPP\r\nout\r\nin\tRP\r\nin\tRP\r\n".encode()
    )
    found = read_list(path)
    assert found.texts == ("café", "in", "out")
    assert found.types == ("NP", "RP", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no phrases"),
        (b"\n  \n\t\n", "holds no phrases"),
        ("ok\nna\u00efve".encode("latin-1"), r"list\.tsv:2 is not UTF-8"),
        (b"ok\tA\n\tB\n", r"list\.tsv:2 has a type and no text"),
        ("".join(f"w{n}\tT{n}\n" for n in range(64)).encode(), "has 64 types .*at most 63"),
        (b"word " * 31, "has 31 words, a phrase may have 30"),
    ],
)
def test_mistakes_in_a_list_are_said_at_once(tmp_path, content, said):
    path = tmp_path / "list.tsv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        Phrase(str(path))


def test_a_list_that_is_not_there_or_not_the_one_wanted(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        Phrase(str(tmp_path / "absent"))
    path = listed(tmp_path / "list.tsv", ENTRIES)
    with pytest.raises(UserError, match="type 'W'; known: A, B"):
        Phrase(path, types=("A", "B"))
    digest = Phrase(path).settled().digest
    assert Phrase(path, digest=digest).width == 8
    with pytest.raises(UserError, match="was changed"):
        Phrase(path, digest="0" * 64).width  # noqa: B018


def test_width_follows_from_the_number_of_types(tmp_path):
    for types, width in ((0, 2), (1, 4), (3, 4), (4, 8), (63, 8)):
        entries = {f"w{n}": f"T{n:02}" for n in range(types)} | {"a": ""}
        plane = Phrase(listed(tmp_path / "list.tsv", entries))
        assert plane.width == width
        values = plane(PieceEncoder(tokenizer_called("bpe"))(["a " + " ".join(entries)]))
        assert values.max() < 1 << width and values.max() >> 2 == types


def test_a_worker_gets_the_list_itself(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("the miller\n")
    sent = pickle.dumps(Phrase(str(path)))
    path.unlink()
    assert units(pickle.loads(sent), ["ask the miller"]) == ["the miller"]  # noqa: S301


NAMES = "miller\tTRADE\ngull\tANIMAL\nweaver\tTRADE\n"
HOUSES = "of house\ngrinds bread\nforgets silence\npaints lanterns\nthe miller of\nthe gull\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phrases")
    (folder / "houses.txt").write_text(HOUSES)
    (folder / "names.tsv").write_text(NAMES)
    planes = [WordStart(), Phrase(str(folder / "houses.txt")), Entity(str(folder / "names.tsv"))]
    return prepare([corpus(folder)], folder / "store", tokenizer=SMALL, planes=planes, held_out=0.2)


def test_what_a_store_keeps_of_a_list(store):
    record = store.planes["entity"]
    assert record["width"] == 4
    assert record["settings"]["types"] == ["ANIMAL", "TRADE"]
    assert record["settings"]["file"] == "names.tsv" and record["settings"]["entries"] == 3
    assert len(record["settings"]["digest"]) == 64 and record["settings"]["case"] == "kept"
    assert store.planes["phrase"]["width"] == 2
    found = coverage_of(store, "entity")
    values = [
        store.split(name).plane("entity", np.arange(store.split(name).num_pieces)) for name in ("train", "held_out")
    ]
    values = np.concatenate(values)
    assert found.units == (values & 1).sum() and found.share == pytest.approx((values > 0).mean())
    assert set(found.by_type) == {"TRADE", "ANIMAL"} and sum(found.by_type.values()) == found.units


def test_a_plane_is_added_from_a_list_wherever_it_lies(tmp_path, store):
    source = corpus(tmp_path)
    plain = prepare([source], tmp_path / "store", tokenizer=SMALL, planes=[WordStart()], held_out=0.2)
    pieces = (plain.folder / "train" / "pieces.bin").stat().st_mtime_ns
    path = tmp_path / "elsewhere" / "names.tsv"
    path.parent.mkdir()
    path.write_text(NAMES)
    added = add_plane(plain.folder, [source], Entity(str(path)))
    assert (plain.folder / "train" / "pieces.bin").stat().st_mtime_ns == pieces
    assert added.fingerprint == plain.fingerprint
    assert added.planes["entity"] == store.planes["entity"]
    for name in ("train", "held_out"):
        kept = (folder / name / "planes" / "entity.bin" for folder in (added.folder, store.folder))
        assert len({path.read_bytes() for path in kept}) == 1
    Store.open(added.folder)


def test_a_list_of_nothing_that_is_there_warns_with_its_size(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("quantum foam\nblue whale\n")
    with pytest.warns(UserWarning, match=r"plane phrase marks nothing.*of the 2 entries of list\.txt none"):
        store = prepare([corpus(tmp_path)], tmp_path / "store", tokenizer=SMALL, planes=[Phrase(str(path))])
    assert coverage_of(store, "phrase").units == 0
    with pytest.warns(UserWarning, match="plane entity marks nothing"):
        add_plane(store.folder, [corpus(tmp_path)], Entity(str(path)))


@pytest.fixture(scope="module")
def rows(store):
    split = store.split("train")
    plan = Packed().plan(split, length=64, vocabulary=store.vocabulary, noise=Noise(0))
    return plan.rows(np.arange(len(plan)))


def texts_of(rows, store, unit):
    found = units_of(rows, unit)
    return [
        store.tokenizer.decode(rows.piece_ids[begin : begin + length])
        for begin, length in zip(found.starts, found.lengths)
    ]


def test_units_of_a_store(store, rows):
    assert rows.planes["entity_start"].dtype == rows.planes["phrase_inside"].dtype == bool
    assert rows.planes["entity_type"].dtype == np.uint8
    names = texts_of(rows, store, "entity")
    assert {"miller", "gull", "weaver"} >= set(names) and len(set(names)) >= 2
    begins = units_of(rows, "entity").starts
    types = dict(zip(names, rows.planes["entity_type"][begins].tolist()))
    assert {types[name] for name in names} <= {1, 2} and types["miller"] == 2
    phrases = texts_of(rows, store, "phrase")
    assert phrases.count("of house") + phrases.count("the miller of") > len(phrases) / 2
    # Entities come first: what they leave of a phrase is a unit too, and every piece is in one.
    layers = texts_of(rows, store, "entity|phrase|word")
    assert "the miller of" not in layers and "miller" in layers
    assert units_of(rows, "entity|phrase|word").lengths.sum() == (~rows.planes["special"]).sum()


@pytest.mark.parametrize("unit", ["phrase", "phrase|word", "entity|phrase|word"])
def test_whole_units_are_chosen(rows, unit):
    chosen = FixedCount(unit, rate=0.2)(rows, Noise(3))
    found = units_of(rows, unit)
    taken = np.isin(np.arange(rows.num_pieces), chosen.positions)
    whole = [taken[begin : begin + length].mean() for begin, length in zip(found.starts, found.lengths)]
    assert set(whole) == {0.0, 1.0}
    assert taken.sum() == sum(length for length, part in zip(found.lengths, whole) if part)


def test_the_stages_of_ernie_on_a_store(rows):
    stages = Staged()
    chosen = [stages(rows, Noise(3).at(number / 3)) for number in range(4)]
    for number, unit in enumerate(["piece", "phrase|word", "entity|phrase|word", "entity|phrase|word"]):
        by_hand = FixedCount(unit)(rows, Noise(3))
        assert chosen[number].positions.tolist() == by_hand.positions.tolist()
    split = [
        np.isin(units.starts, one.positions) != np.isin(units.starts + units.lengths - 1, one.positions)
        for one, units in zip(chosen, [units_of(rows, "phrase|word")] * 2)
    ]
    assert split[0].any() and not split[1].any()


def test_half_of_the_draws_are_entities(rows):
    chosen = MixedUnits(("entity", "word"), rate=0.2)(rows, Noise(3))
    names = units_of(rows, "entity")
    share = rows.planes["entity_inside"][~rows.planes["special"]].mean()
    within = rows.planes["entity_inside"][chosen.positions].mean()
    assert within > 2 * share
    ends = names.starts + names.lengths - 1
    drawn = np.isin(names.starts, chosen.positions) & np.isin(ends, chosen.positions)
    assert drawn.mean() > 0.4


def test_the_command_adds_planes_from_lists(tmp_path, capsys):
    source = corpus(tmp_path)
    (tmp_path / "houses.txt").write_text(HOUSES)
    made = ["prepare", source.path, "--out", str(tmp_path / "store"), "--vocab-size", "300", "--processes", "1"]
    assert afterbert([*made, "--planes", "word_start", "--phrases", str(tmp_path / "houses.txt")]) == 0
    assert "phrase: " in capsys.readouterr().out
    added = [*made[:4], "--processes", "1", "--add-plane", "entity"]
    assert afterbert(added) == 2
    assert "plane entity needs a list; give --entities FILE" in capsys.readouterr().err
    assert afterbert([*added, "--phrases", str(tmp_path / "houses.txt")]) == 2
    assert "--add-plane phrase" in capsys.readouterr().err
    assert afterbert([*made, "--list-case", "kept"]) == 2
    assert "--list-case has no effect" in capsys.readouterr().err
    names = str(tmp_path / "houses.txt")
    assert afterbert([*added, "--entities", names, "--list-case", "all"]) == 2
    assert "--list-case is 'all', must be 'ignored' or 'kept'" in capsys.readouterr().err
    assert afterbert([*added, "--entities", str(tmp_path / "absent")]) == 2
    assert "error: --entities: " in capsys.readouterr().err
    assert afterbert([*added, "--entities", names, "--list-case", "ignored"]) == 0
    store = Store.open(tmp_path / "store")
    assert set(store.planes) == {"word_start", "phrase", "entity"}
    assert store.planes["entity"]["settings"]["case"] == "ignored"
