"""Predictions against published measurements: how far to trust an answer."""
