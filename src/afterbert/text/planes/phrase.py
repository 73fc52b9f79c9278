"""Phrases: runs of words that a list says belong together.

Source: the second stage of ERNIE 1.0 (1904.09223, Section 3.2.2) and the noun phrases of SpanBERT's comparison
(1907.10529, Section 6.1). Theirs come from a chunker that looks at every sentence; here the list decides, be
it a chunker's, a dictionary, or one mined from the corpus (which knows nothing of nouns).
"""

from dataclasses import dataclass

from afterbert.text.planes._listed import Case, ListedUnits


@dataclass(frozen=True)
class Phrase(ListedUnits):
    """
    >>> import tempfile
    >>> from pathlib import Path
    >>> from afterbert.text.pieces.encoding import PieceEncoder
    >>> from afterbert.text.tokenizers.wordpiece import WordPiece
    >>> path = Path(tempfile.mkdtemp()) / "phrases.txt"
    >>> _ = path.write_text("new york\\nnew york city\\n")
    >>> made = WordPiece(vocab_size=64, min_frequency=1).make(["in new york city"] * 9, corpus_bytes=150)
    >>> Phrase(str(path))(PieceEncoder(made)(["In New York city in new  york"])).tolist()
    [0, 3, 2, 2, 0, 3, 2]
    """

    case: Case = "ignored"
