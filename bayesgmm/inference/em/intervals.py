"""Intervals of a fit's parameters, from the quantiles of refits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from bayesgmm.tables import number, telling_features, text_table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Intervals:
    """Lower and upper ends on a leading axis of 2, in the shapes of a fit's parameters and units of the user.

    ``print`` shows weights, means and standard deviations.

    Attributes
    ----------
    weights : (2, K)
    means : (2, K, D)
    covariances : of every entry, in scikit-learn's shape for the structure after the leading axis
    probability : that each is to hold
    source : where they come from
    """

    fit: Any
    weights: Float64[np.ndarray, "2 K"]
    means: Float64[np.ndarray, "2 K D"]
    covariances: NDArray[np.float64]
    probability: float
    source: str

    @property
    def sds(self) -> Float64[np.ndarray, "2 K D"]:
        """Ends for the components' standard deviations: the roots of those for the variances."""
        k, d = self.fit.means.shape
        dense = [self.fit.model.structure.dense(ends, k, d) for ends in self.covariances]
        return np.sqrt(np.diagonal(dense, axis1=2, axis2=3))

    def __repr__(self) -> str:
        fit, sds = self.fit, self.sds
        shown = telling_features(fit.means, sds.mean(axis=0))
        names = [fit.observed.feature_names[j] for j in shown]
        header = ["component", "weight", *(f"{what} {name}" for what in ("mean", "sd") for name in names)]
        columns = np.concatenate([self.weights[:, :, None], self.means[..., shown], sds[..., shown]], axis=2)
        rows = [
            [str(k), *(f"{number(low)} to {number(high)}" for low, high in columns[:, k].T)]
            for k in range(fit.n_components)
        ]
        head = (
            f"{100 * self.probability:g} % percentile intervals of {fit.n_components} {fit.covariance_type} component"
            f"{'s' * (fit.n_components > 1)} fitted to {fit.observed.name}: {self.source}"
        )
        rest = f"\n({len(shown)} of {fit.means.shape[1]} features, those whose means differ most)"
        return f"{head}\n{text_table(header, rows)}{rest * (len(shown) < fit.means.shape[1])}"
