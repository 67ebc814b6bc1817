"""Counting what JAX compiles."""

from __future__ import annotations

import contextlib

import jax

_compiled: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration, **_: (
        _compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
)


@contextlib.contextmanager
def count_compilations():
    """A list that holds, after the block, one entry for every program that was compiled in it."""
    before, inside = len(_compiled), []
    yield inside
    inside.extend(_compiled[before:])
