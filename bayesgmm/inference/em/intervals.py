"""Intervals of a fit's parameters, from the quantiles of refits."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import NDArray

from bayesgmm.inference.em.parameter_frame import parameter_frame
from bayesgmm.tables import number, table_of_components, telling_features

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Intervals:
    """Lower and upper ends on a leading axis of 2, in the shapes of a fit's parameters and units of the user.

    ``print`` shows weights, means and standard deviations, ``table`` is a frame of them.

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
        return np.sqrt(self.fit.model.structure.variances(self.covariances, *self.fit.means.shape))

    @property
    def table(self) -> pandas.DataFrame:
        """Estimates and both ends for weights, means and standard deviations, a pandas DataFrame."""
        lower, upper = zip(self.weights, self.means, self.sds, strict=True)
        return parameter_frame(self.fit, lower=lower, upper=upper)

    def __repr__(self) -> str:
        fit, sds = self.fit, self.sds
        head = (
            f"{100 * self.probability:g} % percentile intervals of {fit.n_components} {fit.covariance_type} component"
            f"{'s' * (fit.n_components > 1)} fitted to {fit.observed.name}: {self.source}"
        )
        texts = (_told(ends) for ends in (self.weights, self.means, sds))
        shown = telling_features(fit.means, sds.mean(axis=0))
        return f"{head}\n{table_of_components(fit.observed.feature_names, shown, *texts)}"


def _told(ends: Float64[np.ndarray, "2 *shape"]) -> Shaped[np.ndarray, "*shape"]:
    """Lower and upper ends as texts, in the shape of what they bound."""
    lower, upper = ends.reshape(2, -1)
    return np.reshape(
        [f"{number(a)} to {number(b)}" for a, b in zip(lower, upper, strict=True)], ends.shape[1:]
    )
