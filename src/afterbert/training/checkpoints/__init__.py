"""Checkpoints that are whole or absent: written aside, digested, verified, restored exactly."""
