"""Compiled programs, compiled in half the time: for small data compiling *is* the run time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

# XLA's newer fusion emitters for processors took twice as long to compile every engine here, and the programs they
# make ran no faster (jaxlib 0.10; tests/benchmarks/bench_compile.py repeats the comparison).
QUICK = {"xla_cpu_use_fusion_emitters": False}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``equinox.filter_jit`` with the options that compile quickest; for programs called from the host only."""

    @functools.cache
    def program() -> Callable[..., Any]:
        return eqx.filter_jit(function, compiler_options=quick_options())

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return program()(*args, **kwargs)

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
