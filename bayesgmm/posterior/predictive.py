"""New rows from the draws of a posterior, and from its prior, as groups of a DataTree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.mixture import Mixture
from bayesgmm.random_state import as_seed


def with_posterior_predictive(posterior: Any, n_draws: int | None, random_state: Any) -> Any:
    """The posterior's tree with ``posterior_predictive``: as many new rows as observed, from each kept draw."""
    import arviz_base
    import xarray as xr

    chains, length = posterior.data["sample_stats"]["lp"].shape
    count = length if n_draws is None else checked(n_draws, length)
    kept = np.linspace(0, length - 1, count).round().astype(int)
    index = (np.arange(chains)[:, None] * length + kept).ravel()
    n, rng = posterior.observed.n_rows, np.random.default_rng(as_seed(random_state))
    rows = posterior.standardisation.inverse(
        replicated_rows(posterior.draws.at_draws(index), n, rng).reshape(len(index) * n, -1)
    ).reshape(chains, count, n, -1)
    features = list(posterior.observed.feature_names)
    group = arviz_base.from_dict(
        {"posterior_predictive": {"x": rows}},
        dims={"x": ["row", "feature"]},
        coords={"row": np.arange(n), "feature": features},
    )
    tree = posterior.data.copy()
    drawn = group["posterior_predictive"].to_dataset().assign_coords(draw=kept)
    tree["posterior_predictive"] = xr.DataTree(drawn)
    return tree


def with_prior(posterior: Any, n_draws: int, random_state: Any) -> Any:
    """The posterior's tree with ``prior`` and ``prior_predictive``: draws of the model before it saw the rows."""
    import arviz_base

    drawn = posterior.model.prior_predictive(
        posterior.observed.n_rows, n_draws=n_draws, random_state=random_state
    )
    features = list(posterior.observed.feature_names)
    prior = {name: drawn[name][None] for name in ("weights", "means", "covariances")}
    groups = arviz_base.from_dict(
        {"prior": prior, "prior_predictive": {"x": drawn["x"][None]}},
        dims={
            "weights": ["component"],
            "means": ["component", "feature"],
            "covariances": list(posterior.model.structure.dims),
            "x": ["row", "feature"],
        },
        coords={"feature": features, "feature_bis": features},
    )
    tree = posterior.data.copy()
    for name in ("prior", "prior_predictive"):
        tree[name] = groups[name]
    return tree


def replicated_rows(draws: Mixture, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``n`` rows (S, n, D) from every draw, in the draws' units."""
    s, k = draws.log_weights.shape
    d = draws.means.shape[-1]
    present = np.isfinite(draws.log_weights)
    dense = np.where(present[..., None, None], draws.structure.dense(draws.covariances, k, d), np.eye(d))
    tril = np.linalg.cholesky(dense)
    out = rng.standard_normal((s, n, d))
    cumulative = np.cumsum(np.exp(draws.log_weights), axis=1)
    for i in range(s):
        uniform = rng.random(n) * cumulative[i, -1]
        labels = np.minimum(np.searchsorted(cumulative[i], uniform, side="right"), k - 1)
        out[i] = draws.means[i, labels] + np.einsum("nij,nj->ni", tril[i, labels], out[i])
    return out


def checked(n_draws: Any, most: int) -> int:
    """A number of draws between 1 and what there is."""
    if isinstance(n_draws, bool) or not isinstance(n_draws, int | np.integer) or not 1 <= n_draws <= most:
        raise ValueError(f"Expected n_draws to be an integer from 1 to {most}; got {n_draws!r}.")
    return int(n_draws)
