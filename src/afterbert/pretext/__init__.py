"""Pretext tasks: which texts stand together, which pieces are chosen, what is shown, what is asked. No torch here."""
