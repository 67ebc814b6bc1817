"""What checks, standardisation, default priors and the search for spikes need of the rows, from one pass over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.data.pieces import columns


@dataclass(frozen=True, eq=False)
class RowMoments:
    """Weighted moments of the rows (N, D) of positive weight.

    Attributes
    ----------
    low, high, mean : least, largest and mean value of each feature
    unit : range of each feature, 1 where it is constant; the unit of ``second``
    second : mean product (D, D) of differences to the mean
    total_weight : sum of the weights
    """

    low: Float64[np.ndarray, " D"]
    high: Float64[np.ndarray, " D"]
    mean: Float64[np.ndarray, " D"]
    unit: Float64[np.ndarray, " D"]
    second: Float64[np.ndarray, "D D"]
    total_weight: float

    @classmethod
    def of(cls, rows: Float64[np.ndarray, "N D"], sample_weight: Any = None) -> RowMoments:
        """Moments of rows, some of which must have positive weight.

        Pieces are centred at their own means and then joined (Chan, Golub & LeVeque 1983), in units of the range so
        far: neither large offsets nor extreme units lose digits.
        """
        weight = (
            np.broadcast_to(1.0, len(rows))
            if sample_weight is None
            else np.asarray(sample_weight, np.float64)
        )
        heaviest = weight.max()
        mean = low = high = rows[np.argmax(weight > 0)]
        extent, scatter, count = np.zeros_like(mean), np.zeros((mean.size,) * 2), 0.0
        # A range beyond all numbers is for check_fit to refuse.
        with np.errstate(over="ignore", invalid="ignore"):
            for x, w in columns(rows, weight):
                if not len(w):
                    continue
                least = x.min(axis=1)
                low, high = np.minimum(low, least), np.maximum(high, x.max(axis=1))
                unit = _unit(high - low)
                shrunk, extent = extent / unit, high - low
                x -= least[:, None]
                x /= unit[:, None]
                w = w / heaviest
                here = w.sum()
                centre = x @ w / here
                x -= centre[:, None]
                apart = (least - mean) / unit + centre
                share = here / (count + here)
                scatter *= np.outer(shrunk, shrunk)
                scatter += (x * w) @ x.T + count * share * np.outer(apart, apart)
                mean = mean + share * apart * unit
                count += here
        return cls(low, high, mean, _unit(extent), scatter / count, float(count * heaviest))

    @property
    def deviations(self) -> Float64[np.ndarray, " D"]:
        """Standard deviation (divisor: the sum of the weights) of each feature, zero where it is constant."""
        return np.where(self.low < self.high, self.unit * np.sqrt(np.diag(self.second)), 0.0)

    @property
    def covariance(self) -> Float64[np.ndarray, "D D"]:
        """Weighted covariance with the unbiased divisor."""
        return self.scaled(np.ones_like(self.unit)) * (self.total_weight / max(self.total_weight - 1.0, 1.0))

    def scaled(self, scale: Float64[np.ndarray, " D"]) -> Float64[np.ndarray, "D D"]:
        """Mean product of differences to the mean, in units of ``scale``."""
        factor = self.unit / scale
        return self.second * factor[:, None] * factor


def _unit(extent: Float64[np.ndarray, " D"]) -> Float64[np.ndarray, " D"]:
    return np.where(extent > 0, extent, 1.0)
