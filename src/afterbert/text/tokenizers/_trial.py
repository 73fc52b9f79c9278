"""What `_guard` runs in a process of its own: loads a tokenizer.json and encodes a few hard texts, under limits.

python -P _trial.py FILE MEMORY_BYTES SECONDS
"""

import resource
import sys

import tokenizers

# Long runs that make patterns with two ways to match backtrack, text of many scripts, and what is no text at
# all.
TEXTS = (
    "A tokenizer's first words, 3.14: naïve 你好 ภาษาไทย 👩‍👩‍👧 \u0301 \n\n\t end.",
    "a" * 5_000 + "!",
    " " * 5_000 + "\n" * 500 + "x",
    "1" * 2_000 + "," * 2_000,
    "aA1 _-" * 2_000 + "\u200d",
    "你好世界" * 1_000,
)


def _limit(kind: int, most: int) -> None:
    """Sets a limit of this process, never beyond what the system or a batch queue allows already."""
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or most < hard:
        hard = most
    resource.setrlimit(kind, (hard, hard))


def main(path: str, memory_bytes: int, seconds: int) -> int:
    """Returns the exit status: 0 if all texts were encoded."""
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, seconds)
    try:
        tokenizer = tokenizers.Tokenizer.from_file(path)
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            tokenizer.decode(ids)
    except BaseException as error:  # a panic of the library derives from BaseException
        print(" ".join(f"{type(error).__name__}: {error}".split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
