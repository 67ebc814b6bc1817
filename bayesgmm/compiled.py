"""Compiled programs, compiled in half the time: for small data compiling *is* the run time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bayesgmm import traced_programs
from bayesgmm.float64 import is_key

# XLA's newer fusion emitters for processors took twice as long to compile every engine here, and the programs they
# make ran no faster (jaxlib 0.10; tests/benchmarks/bench_compile.py repeats the comparison).
QUICK = {"xla_cpu_use_fusion_emitters": False}


ARRAYS = (jax.Array, np.ndarray, np.generic)
_TRACED = object()  # stands for an array among the leaves that are compiled in


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``jax.jit`` of a function of pytrees, with the options that compile quickest; to be called from the host.

    Leaves that are arrays (JAX's or NumPy's) are traced. All others are compiled in and must be hashable. Where traced
    programs are kept on disk (:mod:`bayesgmm.traced_programs`), that is where they are looked for first.
    """

    @functools.cache
    def program(structure: Any, fixed: tuple, place: Any, shapes: Any) -> Callable[..., Any]:
        """For all arrays in such a structure; where it is kept on disk, for those of these shapes."""

        @functools.wraps(function)
        def of_arrays(*arrays: Any) -> Any:
            rest = iter(arrays)
            leaves = [next(rest) if leaf is _TRACED else leaf for leaf in fixed]
            args, kwargs = jax.tree.unflatten(structure, leaves)
            return function(*args, **kwargs)

        if place is None:
            return _jit(of_arrays)
        told = structure, tuple(None if leaf is _TRACED else (leaf,) for leaf in fixed)
        found = traced_programs.kept(of_arrays, told, shapes)
        if found is None:
            return program(structure, fixed, None, None)
        call, result = _jit(found[0]), found[1]
        return lambda *arrays: jax.tree.unflatten(result, call(*arrays))

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = jax.tree.flatten((args, kwargs))
        fixed = tuple(_TRACED if isinstance(leaf, ARRAYS) else leaf for leaf in leaves)
        arrays = [leaf for leaf in leaves if isinstance(leaf, ARRAYS)]
        place = shapes = None
        if traced_programs.folder is not None:
            place = traced_programs.folder, jax.dtypes.canonicalize_dtype(np.float64)
            shapes = tuple(map(_shape, arrays))
        return program(structure, fixed, place, shapes)(*arrays)

    run.is_compiled = True  # type: ignore[attr-defined]
    return run


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(function, compiler_options=quick_options())


def _shape(array: Any) -> jax.ShapeDtypeStruct:
    """Shape and type of an array, as a program sees it."""
    dtype = array.dtype if is_key(array) else jax.dtypes.canonicalize_dtype(array.dtype)
    return jax.ShapeDtypeStruct(array.shape, dtype, weak_type=getattr(array, "weak_type", False))


@functools.cache
def quick_options() -> dict[str, bool]:
    """The options above, or none where this release of XLA does not know them."""
    try:
        jax.jit(lambda x: x, compiler_options=QUICK).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return QUICK
