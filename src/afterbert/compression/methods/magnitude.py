"""The weights nearest to zero of each matrix are set to zero.

Source: Gordon et al. (2002.08307), Section 3: the same share of every matrix, tables of vectors among them. The model
computes as much as before and its file is as large; what a sparse file would take is told beside.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from afterbert.compression.methods import Method, Setting
from afterbert.compression.subject import Form, Subject


@dataclass(frozen=True)
class Magnitude(Method):
    """Sets the smallest weights of each matrix to 0."""

    saves = frozenset(("nonzero",))
    at_zero = "sparsity=0.0"

    sparsity: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of each matrix that becomes 0."""

    def check(self, form: Form) -> Form:
        form.need_weights("magnitude")
        return form

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if not self.sparsity:
            return subject
        state = {
            name: self._pruned(tensor) if tensor.dim() == 2 else tensor for name, tensor in subject.backbone.items()
        }
        return subject.changed(subject.model.architecture, state)

    def _pruned(self, matrix: Tensor) -> Tensor:
        count = round(self.sparsity * matrix.numel())
        if not count:
            return matrix
        lowest = matrix.abs().flatten().argsort(stable=True)[:count]
        return matrix.flatten().index_fill(0, lowest, 0.0).view_as(matrix)
