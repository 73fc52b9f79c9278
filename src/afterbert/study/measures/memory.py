"""How much memory training needs at the least, reckoned from the recipe."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure
from afterbert.workflows.memory import memory_need


class MemoryScore(Measure):
    """Weights, gradients, what the optimizer keeps, and what the backward pass needs of the rows; what an objective
    has beside the model is left out."""

    title = "memory for training"
    unit = "bytes"
    higher_is_better = False
    is_cost = True

    def __call__(self, run: FinishedRun) -> Measurement | None:
        if run.resolved is None:
            return None
        recipe = run.resolved.recipe
        rows = recipe.training.rows_at_once
        return Measurement(float(memory_need(recipe, run.data["tokenizer"]["vocab_size"]).of(rows)))
