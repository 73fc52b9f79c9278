"""What a task came to: metrics, intervals over seeds and rows, comparisons."""
