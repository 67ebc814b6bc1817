"""From draws of parameters to draws of allocations: every row's component, drawn given each mixture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.compiled import compiled
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import allocations, posterior_probabilities
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.predict import MOST_CELLS
from bayesgmm.random_state import as_seed
from bayesgmm.row_blocks import make_rows

MOST_LABELS = 20_000_000  # draws x rows; above it the draws are thinned
EM_DRAWS = 1000  # allocations drawn where there is one mixture only


def is_fit(candidate: Any) -> bool:
    """Whether something is a fit (a posterior, an EM result, a bootstrap): draws of a mixture, and rows."""
    return isinstance(getattr(candidate, "draws", None), Mixture) and hasattr(candidate, "observed")


def draw_allocations(fit: Any, n_draws: Any = None, random_state: Any = 0) -> Int[np.ndarray, "S N"]:
    """Draw the component (S, N) of every row of a fit, independently given each draw's parameters.

    Parameters
    ----------
    fit : a posterior or a bootstrap, whose draws are taken evenly spaced; or an EM result, whose one mixture
        serves all draws: the allocations are then uncertain, the parameters are not
    n_draws : how many; None takes every draw of the parameters (1000 for EM), up to 20 million labels
    random_state : int, numpy Generator or JAX key

    Raises
    ------
    ValueError
        If ``n_draws`` is not an integer of at least 1.
    """
    whole = isinstance(n_draws, int | np.integer) and not isinstance(n_draws, bool)
    if n_draws is not None and not (whole and n_draws >= 1):
        raise ValueError(f"Expected n_draws to be an integer of at least 1, or None; got {n_draws!r}.")
    given = fit.draws.log_weights.shape[0]
    rows = fit.standardisation.forward(fit.observed.rows)
    wanted = n_draws or min(given if given > 1 else EM_DRAWS, max(1, MOST_LABELS // len(rows)))
    which = np.floor(np.arange(wanted) * (given / wanted)).astype(np.intp)
    return _drawn(fit.draws, which, rows, as_seed(random_state))


def _drawn(
    draws: Mixture, which: Int[np.ndarray, " S"], rows: Float64[np.ndarray, "N D"], seed: int
) -> np.ndarray:
    """Labels in pieces of equal length, so that one compiled pass serves them all."""
    n, k = len(rows), draws.n_components
    length = min(len(which), max(1, MOST_CELLS // (64 * k)))
    padded = make_rows(rows, draws.structure, most=max(16, MOST_CELLS // (length * k)))
    out = np.empty((len(which), n), np.min_scalar_type(-k))
    keys = jax.random.split(jax.random.key(seed), -(-len(which) // length))
    for begin, key in zip(range(0, len(which), length), keys, strict=True):
        piece = np.resize(which[begin : begin + length], length)
        natural = jax.tree.map(lambda a, piece=piece: np.asarray(a)[piece], draws).natural()
        labels = _labels(draws.structure, natural, padded, key)
        out[begin : begin + length] = labels[: len(which) - begin, :n]
    return out


def responsibilities(fit: Any, most: int) -> Iterator[Float64[np.ndarray, "N S K"]]:
    """Every row's component probabilities (N, S', K) given each draw, in blocks of about ``most`` columns S' K."""
    s, k = fit.draws.log_weights.shape
    length = min(s, max(1, most // k))
    rows = fit.standardisation.forward(fit.observed.rows)
    padded = make_rows(rows, fit.draws.structure, most=max(16, MOST_CELLS // (length * k)))
    for begin in range(0, s, length):
        piece = np.resize(np.arange(begin, min(begin + length, s)), length)
        natural = jax.tree.map(lambda a, piece=piece: np.asarray(a)[piece], fit.draws).natural()
        table = _probabilities(fit.draws.structure, natural, padded)
        yield table[: len(rows), : min(length, s - begin)]


@in_float64
@compiled
def _labels(structure, natural, rows, key):
    return allocations(structure, natural, rows, key)


@in_float64
@compiled
def _probabilities(structure, natural, rows):
    return posterior_probabilities(structure, natural, rows)
