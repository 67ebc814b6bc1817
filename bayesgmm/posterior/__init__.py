"""Draws, and what they say: relabelling, diagnostics, prediction."""
