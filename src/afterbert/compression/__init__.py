"""Making a trained model smaller: methods one after the other, each measured against the model as it was."""
