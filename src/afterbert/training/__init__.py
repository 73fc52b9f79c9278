"""The loop that trains an objective: feed, step, schedule, checkpoints, exact resume. `trainer.train` is the way in."""
