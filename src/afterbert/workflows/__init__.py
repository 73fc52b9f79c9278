"""From texts to a run, from a model to another one: the work behind each verb. Values out, progress to observers."""
