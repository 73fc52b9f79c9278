"""afterbert: from a folder of text to a small language model, and the pre-training idea that serves it best."""

from afterbert._registration import register_when_imported

__version__ = "0.1.0"

register_when_imported()
