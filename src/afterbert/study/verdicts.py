"""The verdict on what was expected: computed by the rule, never written by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from afterbert.study.design import Expectation
from afterbert.study.statistics import LEVEL, ArmDifference, holm

Verdict = Literal["supported", "contradicted", "equivalent", "not separable at this scale"]
OPEN: Verdict = "not separable at this scale"


@dataclass(frozen=True)
class Judgement:
    """An expectation with its difference (first arm minus second, positive is better), p values as Holm makes them
    over all expectations of the study, and the verdict."""

    expectation: Expectation
    difference: ArmDifference
    p_equal: float
    p_large: float
    p_worse: float
    verdict: Verdict


def judged(expectations: Sequence[Expectation], found: Sequence[ArmDifference]) -> list[Judgement]:
    """Returns all expectations of a study, judged together, so that many questions do not find something by chance."""
    equal, large, worse = (holm([getattr(one, name) for one in found]) for name in ("p_equal", "p_large", "p_worse"))
    return [
        Judgement(
            expectation, one, equal[i], large[i], worse[i], verdict_of(expectation, one, equal[i], large[i], worse[i])
        )
        for i, (expectation, one) in enumerate(zip(expectations, found, strict=True))
    ]


def verdict_of(
    expectation: Expectation, found: ArmDifference, p_equal: float, p_large: float, p_worse: float
) -> Verdict:
    """Returns the verdict by the rule. A difference within the smallest effect of interest counts as none, even where
    it is certain. Arms that came out the same to the last bit with every seed answer nothing, nor do two that learned
    nothing of what is asked: they are alike whatever their idea is worth."""
    if found.at_floor or (found.values and not any(found.values)):
        return OPEN
    relation = expectation.parts[1]
    is_equal, differs = p_large < LEVEL, p_equal < LEVEL
    if relation == ">":
        if is_equal:
            return "equivalent"
        if differs:
            return "supported" if found.estimate > 0 else "contradicted"
        return OPEN
    if relation == "=":
        return "supported" if is_equal else "contradicted" if differs else OPEN
    if p_worse < LEVEL:
        return "supported"
    return "contradicted" if differs and found.estimate < 0 else OPEN


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Gives one verdict on several expectations: all must hold, and a single failure decides.

    >>> together(["supported", "equivalent"]), together(["supported", "contradicted"])
    ('not separable at this scale', 'contradicted')
    """
    if "contradicted" in verdicts:
        return "contradicted"
    kinds = set(verdicts)
    return kinds.pop() if len(kinds) == 1 else OPEN
