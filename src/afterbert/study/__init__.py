"""Studies: ideas compared under control. A YAML file says what differs; runs, statistics and a verdict follow."""
