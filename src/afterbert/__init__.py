"""afterbert: from a folder of text to a small language model, and the pre-training idea that serves it best."""

__version__ = "0.1.0"
