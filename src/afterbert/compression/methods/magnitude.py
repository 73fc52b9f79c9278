"""The weights nearest to zero of each matrix are set to zero.

Source: Gordon et al. (2002.08307), Section 3: the same share of every matrix, tables of vectors among them. The model
computes as much as before and its file is as large; what a sparse file would take is told beside.
"""

from dataclasses import dataclass

from afterbert.base.numbers import ShareBelowOne
from afterbert.compression.methods import Method, Setting
from afterbert.compression.parts.seen_weights import mask
from afterbert.compression.subject import Subject
from afterbert.compression.training_again import with_zeros


@dataclass(frozen=True)
class Magnitude(Method):
    """Sets the smallest weights of each matrix to 0."""

    saves = frozenset(("nonzero",))
    at_zero = "sparsity=0.0"

    sparsity: ShareBelowOne = 0.3
    """Share of each matrix that becomes 0."""

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if not self.sparsity:
            return subject
        matrices = {name: one for name, one in subject.backbone.items() if one.dim() == 2}
        return with_zeros(subject, {name: mask(one.abs(), self.sparsity) for name, one in matrices.items()})
