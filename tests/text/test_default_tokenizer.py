"""The default tokenizer loses no text, and no law asks for what another tokenizer lost."""

import unicodedata

import numpy as np
import pytest
from transformers import AutoTokenizer

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from afterbert.recipes.recipe import resolve
from afterbert.text.from_paths import sources_for
from afterbert.text.token_store.prepare import prepare
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_texts import ALL, tokenizer_called

LETTERS = (
    "अपने गाँव में मेरे बच्चे",
    "Tiếng Việt có sáu thanh",
    "Його їжа й чай",
    "Er möchte, sie mochte",
    "مُحَمَّدٌ",
    "GGLMHVHGHPLANQGFKDMLYWAYM" * 30,
    "ภาษาไทยไม่มีช่องว่าง" * 20,
)


def test_laptop_takes_it():
    assert type(resolve("laptop").recipe.tokenizer).__name__ == "BPE"


@pytest.mark.parametrize("text", LETTERS)
def test_letters_marks_and_case_stay(text, tmp_path):
    tokenizer = tokenizer_called("characters")
    assert tokenizer.vocabulary.unk not in tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    tokenizer.save(tmp_path)
    loaded = AutoTokenizer.from_pretrained(str(tmp_path), local_files_only=True)
    assert loaded.decode(loaded(unicodedata.normalize("NFD", text))["input_ids"], skip_special_tokens=True) == text


def test_hindi_words_are_not_cut_at_their_vowel_signs():
    before = tokenizer_called("characters").backend.pre_tokenizer
    assert [word for word, _ in before.pre_tokenize_str(LETTERS[0])] == [f"▁{w}" for w in LETTERS[0].split()]


def test_unknown_pieces_are_never_asked():
    ids = np.array([0, 5, 1, 6, 1, 1, 7, 2], dtype=np.int32)
    special = np.array([True, *[False] * 6, True])
    rows = Rows(ids, np.array([0, 8]), np.array([3], np.uint64), {"special": special})
    vocabulary = Vocabulary(size=8, cls=0, unk=1, sep=2, mask=3, special_ids=(0, 1, 2, 3))
    task = Pretext(Packed(), (Edit(FixedCount(rate=1.0), Mask(masked=1.0, random=0.0)),), (InPlace(),))
    [asked] = task.pose(rows, Noise(0), vocabulary).asked
    assert asked.target_ids.tolist() == [5, 6, 7]


def test_texts_of_all_scripts_come_back():
    tokenizer = tokenizer_called("characters")
    for text in ALL:
        assert tokenizer.decode(tokenizer.encode(text)) == " ".join(unicodedata.normalize("NFC", text).split())


def test_texts_that_the_tokenizer_does_not_know_are_counted_then_refused(tmp_path):
    known = [f"The miller of house {number} grinds on.\n\n" for number in range(200)]
    proteins = ["GGLMHVHGHPLANQGFKDMLYWAYM" * 5 + "\n\n"]
    some, most = tmp_path / "some.txt", tmp_path / "most.txt"
    some.write_text("".join(known + proteins))
    most.write_text("".join(known[:9] + proteins * 9))
    tokenizer = WordPiece(vocab_size=200, min_frequency=1)
    store = prepare(sources_for([str(some)]), tmp_path / "a", tokenizer=tokenizer)
    assert store.tally.noticed == {"pieces that the tokenizer does not know": 1}
    with pytest.raises(UserError, match="take a tokenizer that knows every text: --tokenizer bpe"):
        wanted = WordPiece(vocab_size=64, min_frequency=9)
        prepare(sources_for([str(most)]), tmp_path / "b", tokenizer=wanted, least_pieces=1)
