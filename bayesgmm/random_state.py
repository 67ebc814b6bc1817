"""One seed from whatever the caller gave: an int, a NumPy Generator, a JAX key or None."""

from __future__ import annotations

import numbers
from typing import Any

import jax
import numpy as np

from bayesgmm.float64 import is_key


def as_seed(random_state: Any) -> int:
    """A non-negative integer below 2**63; the same ``random_state`` gives the same one.

    A Generator is advanced by one draw; None draws fresh entropy. Raises a TypeError for anything else.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"Expected random_state of at least 0; got {random_state}.")
        return int(random_state) % 2**63
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if is_key(random_state) or (isinstance(random_state, jax.Array) and random_state.dtype == np.uint32):
        words = random_state if random_state.dtype == np.uint32 else jax.random.key_data(random_state)
        return int(
            np.random.SeedSequence(np.asarray(words).ravel().tolist()).generate_state(1, np.uint64)[0] >> 1
        )
    raise TypeError(
        "Expected random_state to be an int, a numpy.random.Generator, a JAX key or None; "
        f"got {type(random_state).__name__}."
    )
