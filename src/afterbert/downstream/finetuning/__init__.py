"""Fine-tuning: one task or many, one stage or several, each seed a run of the trainer."""
