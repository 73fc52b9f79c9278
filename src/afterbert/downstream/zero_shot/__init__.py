"""Tasks put to a model that was never trained on them, by likelihood and by writing."""
