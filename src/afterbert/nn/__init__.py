"""Bricks with weights: each a frozen config that builds one module; `models` assembles them."""
