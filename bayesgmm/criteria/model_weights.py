"""Weights of several models, from what each predicted for rows it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.special import softmax

from bayesgmm.random_state import as_seed

STEPS = 200  # of the fixed-point iteration that finds which models have a part
NEWTON = 50  # steps at most; a handful suffices
SLACK = 1e-10  # of the optimality conditions


def stacking_weights(elpds: Any) -> dict[str, float]:
    """Weights of the mixture of models that predicts left-out rows best (Yao, Vehtari, Simpson & Gelman 2018).

    They maximise ``sum_i log sum_m w_m p_m(x_i | the other rows)``, to rounding.

    Parameters
    ----------
    elpds : by name, what ``loo``, ``waic`` or ``cross_validate`` gave, of the same rows

    Raises
    ------
    ValueError, TypeError
        If they are not of the same rows and row weights, or are something else.
    """
    log_densities, share = _pointwise(elpds)
    weights = stacked(log_densities, share)
    return {name: float(w) for name, w in zip(elpds, weights, strict=True)}


def pseudo_bma_weights(elpds: Any, n_draws: Any = 1000, random_state: Any = 0) -> dict[str, float]:
    """Weights proportional to ``exp(elpd)``, averaged over Bayesian bootstraps of the rows: pseudo-BMA+.

    Unlike stacking they weigh each model alone: of two that are alike each takes half (Yao et al. 2018, section 3.4).

    Parameters
    ----------
    elpds : by name, what ``loo``, ``waic`` or ``cross_validate`` gave, of the same rows
    n_draws : bootstraps; 0 takes the elpds as if they were known exactly (pseudo-BMA), which is far too sure
    random_state : int, numpy Generator or JAX key; the same one gives the same weights

    Raises
    ------
    ValueError, TypeError
        If the models are not of the same rows, or an argument cannot be used.
    """
    if isinstance(n_draws, bool) or not isinstance(n_draws, int | np.integer) or n_draws < 0:
        raise ValueError(f"Expected n_draws to be an integer of at least 0; got {n_draws!r}.")
    seed = as_seed(random_state)
    log_densities, share = _pointwise(elpds)
    n = log_densities.shape[1]
    if n_draws == 0:
        weights = softmax(n * (log_densities @ share))
    else:
        drawn = np.random.default_rng(seed).dirichlet(n * share[share > 0], size=n_draws)
        weights = softmax(n * (drawn @ log_densities[:, share > 0].T), axis=1).mean(axis=0)
    return {name: float(w) for name, w in zip(elpds, weights, strict=True)}


def stacked(
    log_densities: Float64[np.ndarray, "M N"], share: Float64[np.ndarray, " N"]
) -> Float64[np.ndarray, " M"]:
    """Weights that maximise ``sum_i share_i log sum_m w_m exp(log_densities_mi)``.

    The objective is concave. A few steps of EM for the weights of a mixture show which models matter; Newton's method
    on those ends it; a model whose gradient then exceeds the multiplier is let in again.
    """
    density = np.exp(log_densities - log_densities.max(axis=0))
    weights = np.full(len(density), 1.0 / len(density))
    for _ in range(STEPS):
        weights = weights * _gradient(density, weights, share)
    # A model that alone gives some row a density has a part, however small: its row's share at the least.
    weights[weights < min(1e-4, 0.01 * share[share > 0].min())] = 0.0
    for _ in range(2 * len(density)):
        weights = _newton(density, weights / weights.sum(), share)
        gradient = _gradient(density, weights, share)
        worst = int(np.argmax(np.where(weights > 0, 0.0, gradient)))
        if weights[worst] > 0 or gradient[worst] <= 1.0 + SLACK:
            break
        weights[worst] = 1e-3
    return weights


def _gradient(density: Any, weights: Any, share: Any) -> Float64[np.ndarray, " M"]:
    """Of the objective; at the optimum 1 for models with a part, at most 1 for the others."""
    return (density / (weights @ density)) @ share


def _newton(density: Any, weights: Any, share: Any) -> Float64[np.ndarray, " M"]:
    """The optimum over models of positive weight; those that reach zero on the way leave."""
    for _ in range(NEWTON):
        used = np.flatnonzero(weights > 0)
        relative = density[used] / (weights @ density)
        gradient = relative @ share
        if np.abs(gradient - 1.0).max() < 1e-14 or used.size == 1:
            break
        hessian = (relative * share) @ relative.T
        ones = np.ones((used.size, 1))
        system = np.block([[hessian, ones], [ones.T, np.zeros((1, 1))]])
        step = np.linalg.lstsq(system, np.append(gradient, 0.0), rcond=None)[0][:-1]
        falls = step < 0
        most = np.min(-weights[used][falls] / step[falls], initial=np.inf)
        weights = weights.copy()
        weights[used] += min(1.0, most) * step
        if most <= 1.0:
            weights[used[weights[used] < 1e-15]] = 0.0
    return weights / weights.sum()


def _pointwise(
    elpds: Any,
) -> tuple[Float64[np.ndarray, "M N"], Float64[np.ndarray, " N"]]:
    """Log densities of the left-out rows by model, and each row's share of the total weight."""
    check_elpds(elpds)
    rows = {name: np.ravel(np.asarray(elpd.elpd_i, float)) for name, elpd in elpds.items()}
    for name, values in rows.items():
        if not np.isfinite(values).all():
            raise ValueError(f"Expected finite log densities of left-out rows; {name!r} has others.")
    weight = _weight(next(iter(elpds.values())))
    return np.stack(list(rows.values())), weight / weight.sum()


def check_elpds(elpds: Any, by: str = "name") -> None:
    """Refuse what is no mapping to elpds of the same rows and row weights; ``by`` says what the keys are."""
    made_by = "what loo, waic or cross_validate gave"
    if not isinstance(elpds, Mapping):
        raise TypeError(f"Expected elpds to be a mapping by {by}, of {made_by}; got {type(elpds).__name__}.")
    if not elpds:
        raise ValueError("Expected at least one model; got none.")
    for name, elpd in elpds.items():
        if getattr(elpd, "elpd_i", None) is None:
            raise TypeError(f"Expected elpds to hold {made_by}; got {type(elpd).__name__} for {name!r}.")
    first, *others = elpds
    for name in others:
        if not np.array_equal(_weight(elpds[first]), _weight(elpds[name])):
            raise ValueError(
                f"Expected models of the same rows and row weights; {first!r} and {name!r} differ."
            )


def _weight(elpd: Any) -> Float64[np.ndarray, " N"]:
    """The rows' weights; one each where there are none."""
    own = getattr(elpd, "sample_weight", None)
    return np.ones(np.size(elpd.elpd_i)) if own is None else np.asarray(own, float)
