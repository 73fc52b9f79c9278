"""From a model to tasks: reading labelled data, heads, fine-tuning, scores with their uncertainty."""
