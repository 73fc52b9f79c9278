"""Heads that only training needs: ELECTRA's detection and its adversary."""
