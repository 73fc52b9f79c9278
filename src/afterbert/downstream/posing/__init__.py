"""Examples become rows of pieces that a model reads, and what it writes becomes text again."""
