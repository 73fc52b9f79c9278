"""What several architectures are assembled from."""
