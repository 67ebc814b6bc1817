"""The loop of every sampler: chunks of steps in one compiled program, and between them a look from the host.

There progress is told, a checkpoint written, and Ctrl-C heard: what was drawn by then is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from bayesgmm.inference.checkpoint import Checkpoint, Saved
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.problem import Problem

FEWEST = 20  # draws a chain below which an interrupted run is not worth a result

Advance = Callable[[Any, int], tuple[Any, Any]]
"""State and number of steps done, to the state after a chunk and its draws (steps, chains, ...)."""


class Length(NamedTuple):
    """Steps of a run: thrown away first, kept, and in one chunk."""

    warmup: int
    samples: int
    chunk: int


def run_chunks(
    problem: Problem,
    name: str,
    advance: Advance,
    state: Any,
    length: Length,
    clock: Clock,
    checkpoint: Checkpoint | None = None,
    saved: Saved | None = None,
) -> tuple[Any, Any, tuple[str, ...]]:
    """The last state, the kept draws (chains, draws, ...) on the host, and words where the run was cut short.

    Raises KeyboardInterrupt where it was interrupted with next to nothing drawn.
    """
    total = length.warmup + length.samples
    chunks: list[Any] = []
    first = 0
    if saved is not None:
        state, first = saved.state, saved.done
        chunks = [saved.draws] if first else []
    remarks: tuple[str, ...] = ()
    done = first
    try:
        problem.tell("sampling", min(done, total), total)
        while done < total:
            state, chunk = advance(state, done)
            chunks.append(jax.tree.map(np.asarray, chunk))
            clock.lap(f"compiling {name}" if done == first else "sampling")
            done += length.chunk
            if checkpoint is not None:
                checkpoint.keep(done, done >= total, state, chunks)
            problem.tell("sampling", min(done, total), total)
    except KeyboardInterrupt:
        drawn = min(done, total) - length.warmup
        if drawn < FEWEST:
            raise
        remarks = (
            f"Interrupted: {drawn} of {length.samples} draws a chain were made. The rest of this result speaks of "
            "those.",
        )
    kept = jax.tree.map(
        lambda *parts: np.swapaxes(np.concatenate(parts)[length.warmup : total], 0, 1), *chunks
    )
    return state, kept, remarks
