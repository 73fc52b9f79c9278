"""The one error a user can mend."""

import os
from pathlib import Path


class UserError(ValueError):
    """Something the user can mend: the command line prints it as it is and exits with status 2.

    Each line says what was found, which rule it breaks, and what to do. Several findings (all mistakes of a
    recipe, say) are several lines of one error. Any other exception is a bug: traceback, status 1.

    >>> raise UserError("mask_rate is 1.5, must be between 0 and 1; choose 0.15")
    Traceback (most recent call last):
    afterbert.base.errors.UserError: mask_rate is 1.5, must be between 0 and 1; choose 0.15
    """

    def __init__(self, *lines: str):
        super().__init__("\n".join(lines))
        self.lines = lines


def shown(value: object, *, most: int = 80) -> str:
    """Returns a value as it stands in a message; the middle of a long one is left out.

    >>> shown("12"), shown("7" * 5000, most=10)
    ("'12'", "'7777...777'")
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-(most // 2 - 1) :]}"


def near_file(path: str | Path, otherwise: str) -> str:
    """A closing half sentence about a file that is not there: what its folder holds that is called most alike, else
    `otherwise`."""
    from difflib import get_close_matches

    try:
        names = os.listdir(Path(path).parent)
    except (OSError, ValueError):
        return otherwise
    called = {Path(name).stem: name for name in names} | {name: name for name in names}  # the ending may be left out
    near = get_close_matches(Path(path).name, list(called), n=1, cutoff=0.6)
    return f"did you mean {Path(path).parent / called[near[0]]}?" if near else otherwise


def did_you_mean(word: str, known: list[str]) -> str:
    """Returns the end of a sentence with the nearest known names, or with all of them when none is near.

    >>> did_you_mean("hiden_size", ["hidden_size", "dropout"])
    "did you mean 'hidden_size'?"
    >>> did_you_mean("zzz", ["a", "b"])
    'known: a, b'
    """
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return "known: " + (", ".join(known) if known else "none")
