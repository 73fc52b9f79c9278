"""What Python users call, and what the command line calls for them: six names, and results that show themselves."""
