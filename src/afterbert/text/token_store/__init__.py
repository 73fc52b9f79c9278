"""The token store: ids and planes on disk, built in parts and in parallel, read as memory maps."""
