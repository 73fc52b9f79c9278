"""Many processes that train one model: who leads, who holds what, how they agree."""
