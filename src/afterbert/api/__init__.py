"""What Python users call, and what the command line calls for them: five names, and results that show themselves."""
