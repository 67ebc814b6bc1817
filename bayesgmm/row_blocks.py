"""Rows as the kernel reads them: features-major in padded blocks, so that few shapes occur and few programs compile."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from bayesgmm.covariances import Array, Structure

FEW_ROWS = 4096  # that all share one layout
SMALL_BLOCK = 256  # columns of a block of so few rows: their padding costs less than another program
ROOM = 1024  # blocks for which there is room where rows are many, if those not in use are never touched
ROOM_CELLS = 2**25  # of them, at most


class Rows(NamedTuple):
    """Rows in blocks, padded with rows of weight zero.

    Attributes
    ----------
    blocks : (M, D, B)
    weights : (M, B), zero on padding
    used : number of blocks that hold rows, at most M; what loops over these alone never touches the others
    total : (P', ) total of the shared features, weighted
    total_weight : sum of the weights
    """

    blocks: Float[Array, "m d b"]
    weights: Float[Array, "m b"]
    used: Int[Array, ""]
    total: Float[Array, " q"]
    total_weight: Float[Array, ""]


def block_size(structure: Structure, n_features: int, n_rows: int) -> int:
    """Columns of a block: wide where features are few, narrow where they are many, never far above N."""
    return min(_widest(structure, n_features), max(64, round_up(n_rows, 64)))


def _widest(structure: Structure, n_features: int) -> int:
    """Columns of which features and responsibilities stay in a core's second-level cache."""
    n_shape = structure.features(np.zeros((n_features, 1))).shape[0]
    return 2048 if n_shape <= 12 else (512 if n_shape <= 300 else 128)


def _tight(structure: Structure, d: int, n: int, most: int | None) -> tuple[int, int]:
    """Number of blocks and their columns, hardly more than N rows need."""
    size = block_size(structure, d, n)
    size = min(size, most or size)
    return round_up(-(-n // size)), size


def _roomy(structure: Structure, d: int, n: int, most: int | None) -> tuple[int, int]:
    """The same for all few rows, and for all of many but the most."""
    size = _widest(structure, d)
    size = min(size, most or size)
    if n <= FEW_ROWS:
        size = min(size, SMALL_BLOCK)
        return -(-FEW_ROWS // size), size
    room = min(ROOM, ROOM_CELLS // (d * size))
    return max(room, 1 << (-(-n // size) - 1).bit_length()), size


def round_up(n: int, multiple: int = 1) -> int:
    """The next of 1, 1.25, 1.5, 1.75 times a power of two (times ``multiple``), so that few sizes occur."""
    units = -(-n // multiple)
    step = max(1, 1 << max(0, units.bit_length() - 3))
    return -(-units // step) * step * multiple


def make_rows(
    rows: np.ndarray,
    structure: Structure,
    sample_weight: np.ndarray | None = None,
    dtype: str = "float64",
    most: int | None = None,
    affine: tuple[np.ndarray, np.ndarray] | None = None,
    spread: bool = False,
    like: Rows | None = None,
) -> Rows:
    """Host rows (N, D), and their weights (N,), as padded blocks of host arrays of at most ``most`` columns.

    Parameters
    ----------
    affine : shift and scale (D,): the blocks hold ``(rows - shift) / scale``, with no such copy of the whole
    spread : block by block, rows come from all over the data rather than in order, so that :func:`first_blocks`
        is a systematic sample. There is room for more blocks than are in use, so that hardly any other N compiles
        anything. Only for what does not ask which row is which and stops at ``used``: memory that nobody touches
        is never taken.
    like : more rows than these, in blocks of the shape that these shall have too
    """
    jax.device_put(np.zeros(()))  # JAX lets go of arrays that it had borrowed only when it is next called
    n, d = rows.shape
    stored, size = _roomy(structure, d, n, most) if spread else _tight(structure, d, n, most)
    if like is not None:
        stored, size = like.weights.shape
    used = -(-n // size)
    blocks = _aligned_zeros((stored, d, size), dtype)
    weights = _aligned_zeros((stored, size), dtype)
    for block, take in enumerate(_spread(used) if spread else _in_order(used, size)):
        part = rows[take]
        target = blocks[block, :, : len(part)]
        if affine is None:
            target[:] = part.T
        else:
            np.subtract(part.T, affine[0][:, None], out=target, casting="same_kind")
            target /= affine[1][:, None]
        weights[block, : len(part)] = 1.0 if sample_weight is None else sample_weight[take]
    return first_blocks(structure, Rows(blocks, weights, np.asarray(used), np.zeros(0), np.zeros(())), used)


def first_blocks(structure: Structure, rows: Rows, used: int) -> Rows:
    """The rows of the first blocks alone, in the same arrays: what is compiled for the whole serves them too."""
    total = _shared_total(structure, rows, used)
    total_weight = np.asarray(rows.weights[:used].sum(dtype=np.float64))
    return Rows(rows.blocks, rows.weights, np.asarray(used), total, total_weight)


def _in_order(used: int, size: int) -> list[slice]:
    return [slice(i * size, (i + 1) * size) for i in range(used)]


def _spread(used: int) -> list[slice]:
    """Every ``used``-th row, from offsets in golden-ratio order: no period of the data lines up with few blocks."""
    offsets = np.argsort(np.arange(used) * 0.6180339887498949 % 1.0)
    return [slice(int(offset), None, used) for offset in offsets]


def _aligned_zeros(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, which JAX takes over without a copy."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + size].view(dtype).reshape(shape)


def _shared_total(structure: Structure, rows: Rows, used: int) -> np.ndarray:
    if structure.shared_features(np.zeros((rows.blocks.shape[1], 1))).shape[0] == 0:
        return np.zeros(0)
    with jax.enable_x64(True):
        return np.asarray(
            _jit_shared_total(structure, jax.device_put(rows.blocks), jax.device_put(rows.weights), used)
        )


@functools.partial(jax.jit, static_argnums=0)
def _jit_shared_total(structure: Structure, blocks: Array, weights: Array, used: Array) -> Array:
    def body(i: Array, total: Array) -> Array:
        return total + structure.shared_features(blocks[i]) @ weights[i]

    shape = jax.eval_shape(structure.shared_features, blocks[0])
    return lax.fori_loop(0, used, body, jnp.zeros(shape.shape[0], jnp.promote_types(blocks.dtype, float)))
