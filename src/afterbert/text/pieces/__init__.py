"""From text to piece ids and back, for every kind of tokenizer; and from one vocabulary to another."""
