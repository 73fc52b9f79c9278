"""How many weights the saved model has."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class ParameterScore(Measure):
    """Counts the backbone and its language-model head; what only training needs is left out."""

    title = "parameters"
    unit = "number"
    higher_is_better = False
    is_cost = True

    def __call__(self, run: FinishedRun) -> Measurement | None:
        if run.resolved is None:
            return None
        model, size = run.resolved.recipe.model, run.data["tokenizer"]["vocab_size"]
        return Measurement(float(model.num_parameters(size) + model.num_lm_head_parameters(size)))
