"""BLEU, computed by sacrebleu (extra `mt`), since only its tokenization makes figures comparable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from afterbert.base.extras import from_extra
from afterbert.downstream.metrics import Metric


@dataclass(frozen=True)
class Bleu(Metric):
    """BLEU, as sacrebleu counts it. Raises UserError if sacrebleu is not installed."""

    tokenize: Literal["13a", "zh", "char", "intl", "none"] = "13a"
    """Sacrebleu's name of a tokenization: `zh` for Chinese, `char` for text without spaces, `13a` (its default)
    else."""

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """Returns counts [N, 10]: matching and possible n-grams of each order, lengths of prediction and nearest
        reference."""
        scorer = _sacrebleu().BLEU(tokenize=self.tokenize, effective_order=True)
        out = np.zeros((len(truths), 10))
        for row, (prediction, references) in enumerate(zip(predictions, truths, strict=True)):
            texts = [references] if isinstance(references, str) else list(references)
            score = scorer.sentence_score(prediction, texts)
            out[row] = [*score.counts, *score.totals, score.sys_len, score.ref_len]
        return out

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Corpus BLEU with sacrebleu's default smoothing (exp), / 100."""
        compute = _sacrebleu().BLEU.compute_bleu
        flat = sums.reshape(-1, 10).astype(int).tolist()
        scores = [
            compute(correct=s[:4], total=s[4:8], sys_len=s[8], ref_len=s[9], smooth_method="exp").score for s in flat
        ]
        return np.array(scores).reshape(sums.shape[:-1]) / 100


def _sacrebleu() -> Any:
    return from_extra("sacrebleu.metrics", "mt", needed_by="the metric bleu (or choose chrf)")
