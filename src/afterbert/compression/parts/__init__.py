"""What several methods and their measurement share."""
