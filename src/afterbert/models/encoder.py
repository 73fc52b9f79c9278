"""An encoder: every piece may see every piece. By its nodes it is exactly BERT, RoBERTa, ALBERT or ModernBERT.

Sources: BERT (1810.04805), RoBERTa (1907.11692), ALBERT (1909.11942), ModernBERT (2412.13663).
"""

from dataclasses import dataclass

from afterbert.models.parts.single_stack import SingleStack


@dataclass(frozen=True)
class Encoder(SingleStack):
    """Defaults are BERT's, in a tiny size.

    >>> Encoder(hidden_size=64, num_attention_heads=3)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: hidden_size 64 does not divide into 3 attention heads; choose a multiple
    """

    reads = "both_ways"
    writes = "nothing"
    summary = "first"
    obeys_visibility = True
