"""Expectation-maximisation: climbing, screening, and what is known at the maximum."""
