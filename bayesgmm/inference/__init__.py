"""Engines: how a posterior, or its maximum, is computed."""
