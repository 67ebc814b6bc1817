"""Compiled programs, compiled in half the time: for small data compiling *is* the run time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

# XLA's newer fusion emitters for processors took twice as long to compile every engine here, and the programs they
# make ran no faster (jaxlib 0.10; tests/benchmarks/bench_compile.py repeats the comparison).
QUICK = {"xla_cpu_use_fusion_emitters": False}


ARRAYS = (jax.Array, np.ndarray, np.generic)
_TRACED = object()  # stands for an array among the leaves that are compiled in


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``jax.jit`` of a function of pytrees, with the options that compile quickest; to be called from the host.

    Leaves that are arrays (JAX's or NumPy's) are traced. All others are compiled in and must be hashable.
    """

    @functools.cache
    def program(structure: Any, fixed: tuple) -> Callable[..., Any]:
        @functools.wraps(function)
        def of_arrays(*arrays: Any) -> Any:
            rest = iter(arrays)
            leaves = [next(rest) if leaf is _TRACED else leaf for leaf in fixed]
            args, kwargs = jax.tree.unflatten(structure, leaves)
            return function(*args, **kwargs)

        return jax.jit(of_arrays, compiler_options=quick_options())

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = jax.tree.flatten((args, kwargs))
        fixed = tuple(_TRACED if isinstance(leaf, ARRAYS) else leaf for leaf in leaves)
        return program(structure, fixed)(*[leaf for leaf in leaves if isinstance(leaf, ARRAYS)])

    run.is_compiled = True  # type: ignore[attr-defined]
    return run


@functools.cache
def quick_options() -> dict[str, bool]:
    """The options above, or none where this release of XLA does not know them."""
    try:
        jax.jit(lambda x: x, compiler_options=QUICK).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return QUICK
