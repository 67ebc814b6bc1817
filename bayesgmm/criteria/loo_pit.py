"""Where each row falls in its own leave-one-out predictive distribution, feature by feature."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float64
from scipy.special import ndtr
from scipy.stats import kstest

from bayesgmm.mixture import Mixture
from bayesgmm.posterior.pareto import smooth, threshold
from bayesgmm.posterior.predict import pointwise_log_density

if TYPE_CHECKING:
    import pandas

MOST_DRAWS = 1000  # thinned to, at most
MOST_CELLS = 4_000_000  # draws x components x rows held at once
LEVEL = 0.01  # of the words in print alone


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LooPit:
    """Probability integral transforms: uniform between 0 and 1 where the model predicts each feature as it is.

    Attributes
    ----------
    values : (N, D) probability that a new row is smaller in a feature, given all rows but this one
    khat : (N,) Pareto k-hat of the importance weights
    n_draws : draws used
    feature_names : of the columns
    """

    values: Float64[np.ndarray, "N D"]
    khat: Float64[np.ndarray, " N"]
    n_draws: int
    feature_names: tuple[str, ...]

    @property
    def table(self) -> pandas.DataFrame:
        """A row a feature: Kolmogorov's distance from uniform and its p-value, and shares of rows in the tails.

        A tail holds one row in a hundred where the model is right.
        """
        import pandas

        tests = [kstest(column, "uniform") for column in self.values.T]
        return pandas.DataFrame(
            {
                "feature": list(self.feature_names),
                "distance": [float(t.statistic) for t in tests],
                "p_value": [float(t.pvalue) for t in tests],
                "below_1_percent": (self.values < 0.01).mean(axis=0),
                "above_99_percent": (self.values > 0.99).mean(axis=0),
            }
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        out = [
            f"the model does not predict {row.feature} as it is: its leave-one-out transforms are not uniform "
            f"(p = {row.p_value:.1e})."
            for row in self.table.itertuples()
            if row.p_value < LEVEL
        ]
        bad = int(np.sum(self.khat > threshold(self.n_draws)))
        if bad:
            out.append(
                f"{bad} of {len(self.khat)} k-hat are high: the transforms of those rows are not to be trusted."
            )
        return tuple(out)

    def __repr__(self) -> str:
        lines = [
            f"LOO-PIT of {row.feature}: distance from uniform {row.distance:.3f} (p = {row.p_value:.3f}), "
            f"{100 * row.below_1_percent:.1f} % of rows below the 1 % and {100 * row.above_99_percent:.1f} % above the "
            "99 % point"
            for row in self.table.itertuples()
        ]
        return "\n".join([*lines, *(f"warning: {w}" for w in self.warnings)])


def loo_pit(posterior: Any) -> LooPit:
    """Leave-one-out probability integral transforms of every feature (Gelfand, Dey & Chang 1992).

    The draws' distribution functions are averaged with the importance weights that leave the row out, all its features
    at once, smoothed (Vehtari, Gelman & Gabry 2017). Assignments are summed out.

    Raises a TypeError if ``posterior`` has no draws.
    """
    if not hasattr(posterior, "data"):
        raise TypeError(f"Expected a posterior with draws; got {type(posterior).__name__}.")
    draws = posterior.draws
    s = draws.log_weights.shape[0]
    kept = np.unique(np.linspace(0, s - 1, min(s, MOST_DRAWS)).round().astype(int))
    some = draws.at_draws(kept)
    rows = posterior.standardisation.forward(np.asarray(posterior.observed.rows))
    log_density = pointwise_log_density(some, rows)
    smoothed = [smooth(-column) for column in log_density.T]
    log_weights = np.stack([weights for weights, _ in smoothed])
    values = loo_distribution(some, rows, log_weights)
    khat = np.array([k for _, k in smoothed])
    return LooPit(values, khat, kept.size, tuple(posterior.observed.feature_names))


def loo_distribution(
    draws: Mixture, rows: Float64[np.ndarray, "N D"], log_weights: Float64[np.ndarray, "N S"]
) -> Float64[np.ndarray, "N D"]:
    """Marginal distribution functions at the rows, averaged over draws (S, ...) by each row's weights."""
    s, k, d = draws.means.shape
    draws = jax.tree.map(np.asarray, draws)
    share = np.exp(draws.log_weights)
    deviations = np.sqrt(draws.structure.variances(draws.covariances, k, d))
    present = share > 0
    out = np.empty(rows.shape)
    step = max(1, MOST_CELLS // (s * k))
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        weights = np.exp(log_weights[part])
        for j in range(d):
            centre = np.where(present, draws.means[..., j], 0.0)
            scale = np.where(present, deviations[..., j], 1.0)
            below = np.einsum("sk,nsk->ns", share, ndtr((rows[part, j, None, None] - centre) / scale))
            out[part, j] = np.sum(weights * below, axis=1)
    return np.clip(out, 0.0, 1.0)
