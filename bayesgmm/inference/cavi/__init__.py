"""Coordinate-ascent variational inference."""
