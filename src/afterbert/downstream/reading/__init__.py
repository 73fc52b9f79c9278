"""Labelled data as people have it: files, folders and hub sets become examples of a task."""
