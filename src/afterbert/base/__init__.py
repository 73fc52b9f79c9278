"""What every layer speaks: errors, plug-in folders, config trees, noise, rows, budgets, run folders."""
