"""A finished graph in the place of a backbone and its head: it answers batches of its task, and learns nothing."""

from collections.abc import Mapping

from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.interop.graph_folder import Graph
from afterbert.objectives.modules import ObjectiveModule


class GraphModule(ObjectiveModule):
    """Has no parameters."""

    def __init__(self, graph: Graph):
        super().__init__()
        self.graph = graph
        self.loss_weights = {}

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        raise UserError("a finished graph cannot be trained; name the model that it was made from")

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.graph.run(arrays)

    def answer(self, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.graph.run(arrays)
