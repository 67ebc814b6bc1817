"""Draws of a model before it has seen any rows, by running its program."""

from __future__ import annotations

from typing import Any

import jax
from numpyro import handlers

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64


def prior_draws(model: Any, n_rows: int, n_draws: int, seed: int) -> dict[str, Array]:
    """Every site and recorded value of the (resolved) program, drawn ``n_draws`` times: rows ``x`` too."""
    return _drawn(model, n_rows, jax.random.split(jax.random.key(seed), n_draws))


@in_float64
@compiled
def _drawn(model: Any, n_rows: int, keys: Array) -> dict[str, Array]:
    def one(key: Array) -> dict[str, Array]:
        with handlers.trace() as found, handlers.seed(rng_seed=key):
            model(None, n_rows)
        return {
            name: site["value"] for name, site in found.items() if site["type"] in ("sample", "deterministic")
        }

    return jax.vmap(one)(keys)
