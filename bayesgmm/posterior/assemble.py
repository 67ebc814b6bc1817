"""From an engine's raw draws to a posterior: relabelled, in the user's units, with ArviZ's groups."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import allocation_counts
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.posterior.predict import MOST_CELLS, log_likelihoods, pointwise_log_density
from bayesgmm.posterior.relabel import relabel
from bayesgmm.row_blocks import make_rows

MODE_NOTES = ("log_joint_at_mode", "laplace_weight", "newton_decrement", "newton_steps", "visited")
MOST_POINTWISE = 60_000_000  # draws x rows of pointwise log-likelihood kept (half a gigabyte)


def assemble(
    problem: Any,
    engine: Any,
    start: Any,
    draws: Mixture,
    stats: Mapping[str, NDArray],
    notes: Mapping[str, Any],
    seconds: dict[str, float],
    hyper: Mapping[str, NDArray] | None = None,
    remarks: tuple[str, ...] = (),
    labelled: bool = False,
) -> Posterior:
    """Relabel the draws and put everything in its group.

    Parameters
    ----------
    draws : (chains, draws, ...) in standardised units
    stats : the sampler's statistics (chains, draws); ``lp`` is the log joint it climbed
    notes : what the warm start says of itself
    hyper : draws (chains, draws, ...) of random hyperparameters by name, in the user's units
    remarks : what the engine has to say, in words
    labelled : whether the draws have one labelling already, so that there is nothing to match
    """
    began = time.perf_counter()
    problem.tell("relabelling", 0, 2)
    chains = len(stats["lp"])
    flat, order, sizes = _relabelled(problem, draws, stats["lp"].ravel(), None if labelled else start)
    problem.tell("relabelling", 1, 2)
    totals, pointwise = _scores(problem, flat, chains)
    problem.tell("relabelling", 2, 2)
    seconds["relabel and score"] = time.perf_counter() - began

    user = flat.rescale(problem.standardisation.scale, problem.standardisation.shift)
    groups: dict[str, dict[str, Any]] = {
        "posterior": _by_chain(_parameters(user), chains) | dict(hyper or {}),
        "sample_stats": _statistics(stats, totals),
        "log_likelihood": {"x": pointwise},
        "observed_data": {"x": np.array(problem.observed.rows)},
        "clustering": _by_chain({"drawn_sizes": sizes, "relabelling": order}, chains),
        "warm_start": {**_parameters(start.restore(start.mixture).with_slots(user.n_components)), **notes},
    }
    return Posterior(
        observed=problem.observed,
        model=problem.model,
        engine=engine,
        standardisation=problem.standardisation,
        draws=flat,
        data=data_tree(groups, flat.structure.dims, problem.observed.feature_names),
        start=start,
        seconds=dict(seconds),
        remarks=remarks,
        seed=problem.seed,
    )


def _statistics(stats: Mapping[str, NDArray], totals: NDArray[np.float64]) -> dict[str, NDArray]:
    """The sampler's statistics (chains, draws) and the log-likelihoods (S,), as floats unless true or false."""
    stats = {**stats, "log_likelihood": totals.reshape(stats["lp"].shape)}
    return {name: np.asarray(value, None if value.dtype == bool else float) for name, value in stats.items()}


def _by_chain(values: Mapping[str, NDArray], chains: int) -> dict[str, NDArray]:
    """Draws (S, ...) as (chains, draws, ...)."""
    return {name: value.reshape(chains, -1, *value.shape[1:]) for name, value in values.items()}


def _relabelled(
    problem: Any, draws: Mixture, score: NDArray[np.float64], start: Any
) -> tuple[Mixture, NDArray[np.intp], NDArray[np.float64]]:
    """Draws (S, ...) with their labels matched, their order (S, K), and rows (S, K) in each component.

    The match is to the draw of the highest score (S,), and its labels are those of the start; without a start labels
    are left as they are.
    """
    flat = jax.tree.map(lambda a: np.asarray(a).reshape(-1, *a.shape[2:]), draws)
    sizes = drawn_sizes(flat, problem.rows, problem.seed)
    if start is None:
        return flat, np.broadcast_to(np.arange(flat.n_components), sizes.shape), sizes
    if problem.model.weights.overfits:
        score = among_usual_numbers(score, sizes)
    numbering = start.predict_proba(problem.observed).argmax(
        axis=1
    )  # by the program that relabelling needs too
    flat, order = relabel(flat, problem.rows, score, numbering)
    return flat, order, np.take_along_axis(sizes, order, axis=1)


def _scores(problem: Any, flat: Mixture, chains: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihoods (S,) of the draws in the user's units, and of every row (chains, draws, N), thinned if many."""
    s, n = len(flat.log_weights), len(problem.rows)
    kept = np.arange(s).reshape(chains, -1)[:, :: thinning(s, n)]
    pointwise = pointwise_log_density(flat.at_draws(kept.ravel()), problem.rows)
    totals = pointwise.sum(axis=1) if kept.size == s else log_likelihoods(flat, problem.rows)
    pointwise = pointwise.reshape(*kept.shape, n) - problem.standardisation.log_jacobian
    return totals - problem.log_jacobian, pointwise


def among_usual_numbers(lp: NDArray, sizes: NDArray) -> NDArray:
    """``lp`` (S,) where a draw has the most frequent number of clusters, minus infinity elsewhere.

    With slots to spare, densities of draws with other numbers of clusters do not compare.
    """
    occupied = (sizes > 0).sum(axis=1)
    return np.where(occupied == np.bincount(occupied).argmax(), lp, -np.inf)


def _parameters(mixture: Mixture) -> dict[str, NDArray]:
    """Weights, means and covariances; those of an absent component, one of weight zero, are NaN."""
    present = np.isfinite(mixture.log_weights)
    covariances = np.asarray(mixture.covariances)
    return {
        "weights": np.exp(mixture.log_weights),
        "means": np.where(present[..., None], mixture.means, np.nan),
        "covariances": mixture.structure.where_component(
            present, covariances, np.full_like(covariances, np.nan)
        ),
    }


def thinning(n_draws: int, n_rows: int) -> int:
    """Every how manieth draw keeps its pointwise log-likelihood."""
    return -(-n_draws * n_rows // MOST_POINTWISE)


def drawn_sizes(draws: Mixture, rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Rows (S, K) in each component when every draw also draws the allocations."""
    s, k = draws.log_weights.shape
    padded = make_rows(rows, draws.structure, most=max(16, MOST_CELLS // (s * k)))
    return _sizes(draws.structure, draws.natural(), padded, np.asarray(seed))


@in_float64
@compiled
def _sizes(structure, natural, rows, seed):
    return allocation_counts(structure, natural, rows, jax.random.key(seed))


def data_tree(
    groups: dict[str, dict[str, Any]], covariance_dims: tuple[str, ...], feature_names: tuple[str, ...]
):
    """ArviZ's DataTree; host float64 only, since older ArviZ cannot take JAX arrays."""
    import arviz_base

    names = list(feature_names)
    dims = {
        "weights": ["component"],
        "means": ["component", "feature"],
        "covariances": list(covariance_dims),
        "drawn_sizes": ["component"],
        "relabelling": ["component"],
        "mean_spread": ["feature"],
        "centre": ["feature"],
        **{name: ["mode"] for name in MODE_NOTES},
        "mode_of_chain": ["chain"],
        "component_scale": [name for name in covariance_dims if name != "component"],
    }
    coords: dict[str, Any] = {
        "feature": names,
        "feature_bis": names,
        "component": np.arange(groups["posterior"]["weights"].shape[-1]),
    }
    sampled = {k: v for k, v in groups.items() if k not in ("log_likelihood", "observed_data", "warm_start")}
    tree = arviz_base.from_dict(sampled, dims=dims, coords=coords)
    rows = {"log_likelihood": groups["log_likelihood"]}
    n = groups["observed_data"]["x"].shape[0]
    likelihood = arviz_base.from_dict(rows, dims={"x": ["row"]}, coords={"row": np.arange(n)})
    fixed = {"observed_data": groups["observed_data"], "warm_start": groups["warm_start"]}
    fixed_dims: dict[str, Any] = {**dims, "x": ["row", "feature"]}
    constant = arviz_base.from_dict(
        fixed, dims=fixed_dims, coords={**coords, "row": np.arange(n)}, sample_dims=[]
    )
    for other in (likelihood, constant):
        for name, child in other.children.items():
            tree[name] = child
    return tree
