"""Passing over many rows a piece at a time, so that no temporary array is as large as the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

PIECE = 16_384


def pieces(
    rows: Float64[np.ndarray, "N D"], sample_weight: Float64[np.ndarray, " N"]
) -> Iterator[tuple[Float64[np.ndarray, "n D"], Float64[np.ndarray, " n"]]]:
    """Rows of positive weight, and their weights, in the order of the data."""
    for first in range(0, len(rows), PIECE):
        part, weight = rows[first : first + PIECE], sample_weight[first : first + PIECE]
        counted = weight > 0
        yield (part, weight) if counted.all() else (part[counted], weight[counted])


def columns(
    rows: Float64[np.ndarray, "N D"], sample_weight: Float64[np.ndarray, " N"]
) -> Iterator[tuple[Float64[np.ndarray, "D n"], Float64[np.ndarray, " n"]]]:
    """The same, features-major and copied: where features are few, arithmetic runs several times faster so."""
    for part, weight in pieces(rows, sample_weight):
        yield np.array(part.T, order="C"), weight
