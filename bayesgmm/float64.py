"""The one door to double precision: host arrays in, host arrays out, the caller's JAX configuration untouched.

``jax.enable_x64`` is a context of the current thread, so nothing global changes. A float64 array that leaves
the context would quietly decay to float32 at its next use; hence results leave as NumPy arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

SMALL = 1 << 14  # bytes: jit takes small NumPy arrays ten times faster than they become JAX's


def is_key(leaf: Any) -> bool:
    """Whether a leaf is a typed JAX random key."""
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def to_device(tree: Any, above: int = -1) -> Any:
    """NumPy leaves of more bytes than ``above`` as JAX arrays, copied (in the context: float64 stays float64).

    ``device_put`` compiles nothing, where ``jnp.asarray`` compiles a program for every shape.
    """

    def put(leaf: Any) -> Any:
        large = isinstance(leaf, np.ndarray | np.generic) and leaf.nbytes > above
        return jax.device_put(np.array(leaf)) if large else leaf

    return jax.tree.map(put, tree)


def to_host(tree: Any) -> Any:
    """JAX leaves as NumPy arrays; random keys stay."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) if isinstance(leaf, jax.Array) and not is_key(leaf) else leaf, tree
    )


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function of pytrees in double precision: NumPy leaves in, NumPy leaves out."""
    is_compiled = hasattr(function, "is_compiled")

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with jax.enable_x64(True):
            args, kwargs = to_device((args, kwargs), above=SMALL if is_compiled else -1)
            return to_host(function(*args, **kwargs))

    return run
