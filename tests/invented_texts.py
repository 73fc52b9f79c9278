"""Invented text in several scripts, and a small tokenizer of every kind trained on it."""

from __future__ import annotations

from functools import cache

from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.bpe import BPE
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.unigram import Unigram
from afterbert.text.tokenizers.wordpiece import WordPiece

ENGLISH = (
    "Don't panic, said the well-known miller; it's only 3.14 miles. Dr. Rosa O’Neil’s mill (built 1887) grinds on!",
    "The rivers'  names\nwere long forgotten. \"Why?\" she asked.\n\nNobody knew — not even the gulls' keepers...",
    "naïve cafés re-opened at 07:30, e.g. in B2B-town; rock 'n' roll was played & 50% danced.",
    "unbelievable misunderstandings multiply, re-multiply and un-multiply themselves unbelievably",
)
CHINESE = ("我们今天在北京大学学习自然语言处理。天气很好！", "他说：“人工智能3.0”很有意思，共有200个iPhone。")
JAPANESE = ("日本語の文章をトークンに分けるのは、むずかしいですね。ラーメンを食べた。",)
THAI = ("ภาษาไทยไม่มีช่องว่างระหว่างคำ กำลังเรียนที่น้ำ",)
EMOJI = ("ok 👍🏽 fine 👩‍👩‍👧 ❤️ 🇩🇪 e\u0301te\u0301 \u200bzero\u200d width a\u00adb",)

ALL = ENGLISH + CHINESE + JAPANESE + THAI + EMOJI
LANGUAGES = ("en",) * len(ENGLISH) + ("zh",) * len(CHINESE) + ("ja", "th", "en")

RECIPES: dict[str, TokenizerRecipe] = {
    "wordpiece": WordPiece(vocab_size=500, min_frequency=1, lowercase=True),
    "wordpiece_cased": WordPiece(vocab_size=700, min_frequency=1, lowercase=True),
    "characters": BPE(vocab_size=600, min_frequency=1),
    "characters_lower": BPE(vocab_size=600, min_frequency=1, lowercase=True, sentinels=4),
    "bpe": ByteLevelBPE(vocab_size=420, min_frequency=1),
    "bpe_untrimmed": ByteLevelBPE(vocab_size=420, min_frequency=1, trim_offsets=False),
    "bpe_prefixed": ByteLevelBPE(vocab_size=420, min_frequency=1, add_prefix_space=True),
    "unigram": Unigram(vocab_size=500, min_frequency=1),
    "unigram_lower": Unigram(vocab_size=400, min_frequency=1, lowercase=True, sentinels=4),
}


@cache
def tokenizer_called(name: str) -> Tokenizer:
    """One of RECIPES, trained on ALL."""
    return RECIPES[name].make(ALL * 3, corpus_bytes=10_000)


def documents(count: int, *, seed: int = 0) -> list[str]:
    """Different documents of one to nine invented sentences."""
    import random

    draw = random.Random(seed)
    subjects = ["miller", "gull", "river", "keeper", "baker", "weaver", "sailor", "gardener"]
    verbs = ["grinds", "forgets", "follows", "paints", "carries", "answers", "misses", "repairs"]
    objects = ["bread", "silence", "lanterns", "letters", "nets", "stones", "clocks", "ribbons"]
    found = []
    for number in range(count):
        sentences = [
            f"The {draw.choice(subjects)} of house {draw.randrange(9999)} {draw.choice(verbs)} {draw.choice(objects)}."
            for _ in range(draw.randint(1, 9))
        ]
        found.append(f"Chapter {number}. " + " ".join(sentences))
    return found
