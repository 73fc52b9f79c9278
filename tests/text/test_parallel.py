"""Pairs of translations: every layout is read, wrong ones are counted with their line, both sides stay together."""

import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from afterbert.base.errors import UserError
from afterbert.base.mixing.exponent import Exponent
from afterbert.base.noise import Noise
from afterbert.pretext.pairings.translation import TranslationPair
from afterbert.text.files.documents import PAIR, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.languages import sources_by_language
from afterbert.text.parallel import RawPair, memory
from afterbert.text.planes.word_start import WordStart
from afterbert.text.token_store.leaks import leaks_of, letters
from afterbert.text.token_store.mixture import mix_stores
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.bpe import BPE
from afterbert.text.tokenizers.wordpiece import WordPiece

TMX = """<?xml version="1.0"?>
<tmx version="1.4"><header srclang="en" datatype="plaintext" segtype="sentence" o-tmf="x" adminlang="en"
 creationtool="x" creationtoolversion="1"/><body>
<tu><tuv xml:lang="en-GB"><seg>Good day</seg></tuv><tuv xml:lang="is"><seg>Góðan dag</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Two</seg></tuv><tuv xml:lang="de"><seg>Zwei</seg></tuv></tu>
</body></tmx>"""
PO = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "Good day"
msgstr "Góðan dag"

msgid "Not yet"
msgstr ""
"""
XLIFF = """<?xml version="1.0"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file original="a" source-language="en-US"
 target-language="is" datatype="plaintext"><body>
<trans-unit id="1"><source>Good day</source><target>Góðan dag</target></trans-unit>
<trans-unit id="2"><source>Open</source><target state="needs-translation">Opna</target></trans-unit>
<trans-unit id="3" approved="no"><source>Close</source><target>Loka</target></trans-unit></body></file></xliff>"""
CODES = '<bpt i="1">&lt;b&gt;</bpt>Good<ept i="1">&lt;/b&gt;</ept> <ph>{0}</ph><!-- no --><hi>day</hi>'
FILES = {
    "codes.tmx": TMX.replace("Good day", CODES),
    "codes.xlf": XLIFF.replace("Good day", CODES.replace("hi>", "g>") + '<x id="1"/>'),
    "a.tsv": "Good day\tGóðan dag\n",
    "tatoeba é.tsv": "12\tGood day\t77\tGóðan dag\n",
    "attribution.tsv": "Good day\tGóðan dag\tCC-BY\n",
    "a.tmx": TMX,
    "1.1.tmx": TMX.replace("xml:lang", "lang"),
    "a.po": PO,
    "a.xlf": XLIFF,
    "german.xlf": XLIFF.replace('"is"', '"de"'),
    "turned.xliff": XLIFF.replace('"is"', '"en"').replace('"en-US"', '"is-IS"'),
    "german.po": PO.replace("UTF-8", "UTF-8\\nLanguage: de_AT"),
    "2.xlf": '<xliff version="2.0" xmlns="urn:oasis:names:tc:xliff:document:2.0" srcLang="en"/>',
    "page.tmx": "<html/>",
    "a.en": "Good day\n",
    "a.is": "Góðan dag\n",
    "en.usfm": '\\id GEN\n\\c 1\n\\v 1 Good \\f + \\ft note\\f* \\w day|lemma="day"\\w*\n\\s Heading\n\\v 2 Alone\n',
    "is.usfm": "\\id GEN\n\\c 1\n\\v 1 Góðan\ndag\n",
    "inline.usfm": '\\id GEN\n\\c 1\n\\p \\v 1 \\w Good|lemma="good"\\w* \\add day\\add*\\p \\v 2 Alone\n',
    "long.en": "One\nTwo\n",
    "broken.tmx": TMX.replace("</seg></tuv></tu>", "</seg></tu>", 1),
    "broken.po": 'msgid "a"\nmsgstr "b\n',
    "latin.po": PO.encode().decode("latin-1").replace("Ã³", "\udcf3"),
    "one.tsv": "Good day\tGóðan dag\nNothing\n",
    "empty.po": PO.replace("Góðan dag", ""),
    "empty é.tsv": "",
    "empty.en": "",
    "empty.is": "",
    "german.tmx": TMX.replace('"is"', '"th"'),
    "same.en": "Good day\n",
}


def _read(folder: Path, named: str) -> tuple[list[str], Tally]:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    tally = Tally()
    (source,) = sources_by_language(["en+is=" + ",".join(str(folder / name) for name in named.split(","))])
    (part,) = source.parts(1)
    return [document.text for document in part.documents(Policy(), tally)], tally


@pytest.mark.parametrize(
    "named",
    [
        "a.tsv",
        "tatoeba é.tsv",
        "attribution.tsv",
        "a.tmx",
        "1.1.tmx",
        "codes.tmx",
        "codes.xlf",
        "a.po",
        "a.xlf",
        "a.en,a.is",
        "en.usfm,is.usfm",
        "inline.usfm,is.usfm",
    ],
)
def test_every_layout_gives_the_pair(named, tmp_path):
    if named.endswith((".tmx", ".po", ".xlf")):
        pytest.importorskip("translate.storage.factory")
    assert _read(tmp_path, named)[0] == [f"Good day{PAIR}Góðan dag"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("long.en,a.is", r"long.en:2: this line has no partner, .*a.is ends at line 1"),
        ("broken.tmx", r"broken.tmx:4: not readable"),
        ("broken.po", r"broken.po:2: not readable"),
        ("one.tsv", r"one.tsv:2: the line has one column"),
        ("a.tmx,a.is", r"wants one file"),
        ("latin.po", r"latin.po:5: the line is not UTF-8; convert the file"),
        ("empty.po", r"empty.po holds no pair of en and is; leave it out, or mend it"),
        ("empty é.tsv", r"empty é.tsv holds no pair"),
        ("empty.en,empty.is", r"empty.is holds no pair"),
        ("german.tmx", r"german.tmx holds no pair of en and is"),
        ("german.xlf", r"german.xlf says that it is in de, not in is; name it so: en\+de=FILE"),
        ("german.po", r"german.po says that it is in de, not in is; name it so: en\+de=FILE"),
        ("turned.xliff", r"turned.xliff says that it is in is, not in en; name it so: is\+en=FILE"),
        ("2.xlf", r"2.xlf: not readable: .*XLIFF 2.*; save it as XLIFF 1.2"),
        ("page.tmx", r"page.tmx: not readable: it is no .tmx inside; mend the file"),
        ("a.en,same.en", r"same.en is named as is, and as en \(.*a.en\); name each file under one language"),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(named, said, tmp_path):
    if "." in named and named.split(".")[-1] in ("tmx", "po", "xlf", "xliff"):
        pytest.importorskip("translate.storage.factory")
    with pytest.raises(UserError, match=said):
        _read(tmp_path, named)


def test_a_packed_memory_is_read_by_its_languages(monkeypatch):
    unit = SimpleNamespace(line_number=1)
    nodes = [ElementTree.fromstring(f'<tuv lang="{code}"><seg>in {code}</seg></tuv>') for code in ("de", "en-US", "is")]
    unit.getlanguageNodes = lambda: nodes
    monkeypatch.setattr(memory, "_opened", lambda path: SimpleNamespace(units=[unit]))
    assert list(memory.TranslationMemory()(("a.tmx.gz",), ("en", "is"))) == [RawPair(1, "in en-US", "in is")]


def test_wrong_pairs_are_counted_with_file_and_line(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("Good day\tGóðan dag\n\tx\nThe very same sentence.\tThe very same sentence.\n", encoding="utf-8")
    (source,) = sources_by_language([f"en+is={path}"])
    tally = Tally()
    (part,) = source.parts(1)
    assert len(list(part.documents(Policy(), tally))) == 1
    assert tally.dropped == {"pairs of which one side is empty": 1, "pairs whose sides are the same": 1}
    assert "pairs.tsv:2" in tally.table() and "pairs.tsv:3" in tally.table()


def test_a_wrong_verse_below_a_folder_and_a_wrong_entry_are_told_with_file_and_line(tmp_path):
    for name in ("ein", "önnur þýðing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1 mós.usfm").write_text("\\id GEN\n\\c 1\n\\v 1\n\\v 2 Word\n", encoding="utf-8")
    entry = 'msgid "The very same sentence."\nmsgstr "The very same sentence."\n'
    (tmp_path / "a.po").write_text(f"{PO}\n# a note\n{entry}", encoding="utf-8")
    named = ["en+is={0}/ein,{0}/önnur þýðing", "en+is={0}/a.po"]
    (tmp_path / "önnur þýðing" / "1 mós.usfm").write_text("\\id GEN\n\\c 1\n\\v 1 Orð\n", encoding="utf-8")
    for one, said in zip(named, ("ein/1 mós.usfm:3", "a.po:10")):
        if one.endswith(".po"):
            pytest.importorskip("translate.storage.factory")
        tally = Tally()
        (part,) = sources_by_language([one.format(tmp_path)])[0].parts(1)
        list(part.documents(Policy(), tally))
        assert said in tally.table()


def test_a_file_may_stand_in_several_pairs_in_one_language(tmp_path):
    for code, text in {"en": "Good day", "is": "Góðan dag", "th": "สวัสดี"}.items():
        (tmp_path / f"a.{code}.txt").write_text(text, encoding="utf-8")
    named = ["en={0}/a.en.txt", "en+is={0}/a.en.txt,{0}/a.is.txt", "en+th={0}/a.en.txt,{0}/a.th.txt"]
    assert len(sources_by_language([one.format(tmp_path) for one in named])) == 3
    with pytest.raises(UserError, match="a.is.txt is named as is, and as th"):
        sources_by_language([f"th={tmp_path}/a.is.txt", named[1].format(tmp_path)])


@pytest.mark.parametrize("is_mixed", [False, True])
def test_both_sides_stay_together_and_rows_tell_language_and_place(tmp_path, is_mixed):
    english = [f"the house number {number} stands by the sea" for number in range(60)]
    lines = [f"{one}\thús númer {number} stendur við hafið" for number, one in enumerate(english)]
    lines += [f"{one}\tdas Haus {number} steht am Meer" for number, one in enumerate(english)]
    (tmp_path / "is.tsv").write_text("\n".join(lines[:60]), encoding="utf-8")
    (tmp_path / "de.tsv").write_text("\n".join(lines[60:]), encoding="utf-8")
    sources = sources_by_language([f"en+is={tmp_path / 'is.tsv'}", f"en+de={tmp_path / 'de.tsv'}"])
    store = prepare(sources, tmp_path / "store", tokenizer=BPE(vocab_size=400), held_out=0.2)
    if is_mixed:
        store = mix_stores({"store": store}, Exponent(0.5), tmp_path / "mixed")
    store = store.telling(("is", "de", "en"))
    decode, seen = store.tokenizer.backend.decode, {}
    for name in ("train", "held_out"):
        split = store.split(name)
        plan = TranslationPair().plan(split, length=64, vocabulary=store.vocabulary, noise=Noise(0))
        rows = plan.rows(np.arange(len(plan)))
        for begin, end in zip(rows.row_starts, rows.row_starts[1:]):
            language, position = (rows.planes[key][begin:end] for key in ("language", "position"))
            second = int(np.flatnonzero(position == 0)[1])
            assert set(language[:second]) == {2} and len(set(language[second:])) == 1
            sides = [decode(rows.piece_ids[begin:end][some]).split() for some in (slice(second), slice(second, None))]
            assert (sides[1][0] == "hús") == (language[second] == 0)
            assert [w for w in sides[0] if w.isdigit()] == [w for w in sides[1] if w.isdigit()]
            seen.setdefault(name, set()).add(" ".join(sides[0]))
    assert len(seen["train"]) + len(seen["held_out"]) == 60, "both translations of a text are on one side"
    if is_mixed:
        parts = store.split("train").parts
        assert len(parts["en"].pairs[1]) == 0 and len(parts["is"].pairs[1]) == len(parts["de"].pairs[1]) > 0


def test_held_out_sentences_of_translations_in_running_text_are_counted_and_named(tmp_path):
    lines = [f"The {n}th miller of the old mill walked slowly down to the river in year {n}." for n in range(200)]
    pairs = "".join(f"{line}\tDer {n}. Müller der Mühle ging langsam zum Fluss.\n" for n, line in enumerate(lines))
    (tmp_path / "pairs.tsv").write_text(pairs, encoding="utf-8")
    books = [" ".join(lines[n : n + 4]) for n in range(0, 100, 4)]
    (tmp_path / "books.txt").write_text("\n\n\n".join(books), encoding="utf-8")
    named = [f"en={tmp_path / 'books.txt'}", f"en+de={tmp_path / 'pairs.tsv'}"]
    store = prepare(sources_by_language(named), tmp_path / "store", tokenizer=BPE(vocab_size=400), held_out=0.2)
    found = {(leak.held_out, leak.trained): leak for leak in leaks_of(store)}
    assert set(found) == {("running text", "translations"), ("translations", "running text")}
    held = {line for line in lines if line in _decoded(store, "held_out")}
    trained = _decoded(store, "train")
    (leak,) = (leak for (kind, _), leak in found.items() if kind == "translations")
    in_pairs = [line for line in held if line in trained]
    assert leak.count <= len(in_pairs) and leak.count > 0
    assert all(text.strip("'.") in " ".join(lines) for text in leak.examples)
    alone = prepare(sources_by_language(named[:1]), tmp_path / "alone", tokenizer=BPE(vocab_size=400), held_out=0.2)
    assert leaks_of(alone) == []
    bare = prepare(
        sources_by_language(named), tmp_path / "bare", tokenizer=BPE(vocab_size=400), planes=[WordStart()], held_out=0.2
    )
    assert leaks_of(bare) == []


MILLER = [f"Gamli malarinn gekk hægt niður að ánni með {n} mjölpoka og {7 * n} egg." for n in range(300)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stutt.txt", "\n\n\n".join(f"Fyrst {n}.\n{MILLER[n]}\nSvo.\n{MILLER[n + 1]}" for n in range(0, 300, 2))),
        ("löng bók/1.txt", "\n".join(f"{line}\n\n{line[9:]}" for line in MILLER)),
        ("skrá.jsonl", "".join(f'{{"id": "d{n}", "text": "Á undan.\\n{line}"}}\n' for n, line in enumerate(MILLER))),
    ],
)
@pytest.mark.parametrize("tokenizer", [BPE(vocab_size=500), WordPiece(vocab_size=500, lowercase=True)])
def test_leaks_are_told_with_file_and_line(name, text, tokenizer, tmp_path):
    running, pairs = tmp_path / "textar á íslensku" / name, tmp_path / "pör é.tsv"
    running.parent.mkdir(parents=True)
    running.write_text(text, encoding="utf-8")
    thai = "คนโรงสีเก่าเดินช้าๆลงไปที่แม่น้ำพร้อมกับแป้ง"
    pairs.write_text("\tx\n".join(f"{line}\t{thai} {n}\n" for n, line in enumerate(MILLER)), encoding="utf-8")
    named = [f"is={running.parent if name.endswith('1.txt') else running}", f"is+th={pairs}"]
    sources, policy = sources_by_language(named), Policy(max_dropped_share=0.9)
    store = prepare(sources, tmp_path / "store", tokenizer=tokenizer, held_out=0.2, policy=policy)
    found = leaks_of(store, sources, policy)
    assert [leak.held_out for leak in found] == ["running text", "translations"]
    for leak in found:
        assert len(leak.examples) == 3
        for example in leak.examples:
            said, *places = re.fullmatch(
                r"'(.*?)(?:\.\.\.)?' \((.*):(\d+), trained on at (.*):(\d+)\)", example
            ).groups()
            assert places[::2] == [str(running), str(pairs)][:: 1 if leak.held_out == "running text" else -1]
            for path, line in (places[:2], places[2:]):
                assert letters(said) in letters(Path(path).read_text("utf-8").split("\n")[int(line) - 1])


def _decoded(store, name):
    split = store.split(name)
    return store.tokenizer.backend.decode(split.pieces(np.arange(split.num_pieces)))
