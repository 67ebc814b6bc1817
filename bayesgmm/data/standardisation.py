"""Centring and scaling of rows, with its inverse and its Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.data.moments import RowMoments


@dataclass(frozen=True, eq=False)
class Standardisation:
    """The affine map ``z = (x - shift) / scale``, feature by feature.

    Engines see ``z``; results are told in the units of ``x``. A density in standard units becomes one in the user's by
    ``log p(x) = log p(z) - log_jacobian``, for each row.
    """

    shift: Float64[np.ndarray, " D"]
    scale: Float64[np.ndarray, " D"]

    @classmethod
    def fit(
        cls, rows: Float64[np.ndarray, "N D"], sample_weight: Any = None, common_scale: bool = False
    ) -> Standardisation:
        """Weighted mean and standard deviation (divisor: the sum of the weights) of each feature.

        With ``common_scale`` every feature is divided by the same number, the root of the mean variance, so that a
        spherical model means the same before and after.

        Raises ``ValueError`` where the scale would be zero: a feature constant over the rows of positive weight.
        """
        return cls.of(RowMoments.of(rows, sample_weight), common_scale)

    @classmethod
    def of(cls, moments: RowMoments, common_scale: bool = False) -> Standardisation:
        """The same, of moments that are known."""
        deviation = moments.deviations
        if common_scale:
            largest = deviation.max()
            if largest > 0:
                deviation = np.full_like(deviation, largest * np.sqrt(np.mean((deviation / largest) ** 2)))
        flat = np.flatnonzero(~(deviation > 0))
        if flat.size:
            raise ValueError(
                f"Expected features that vary; got a constant one at column {flat[0]} (over the rows of positive "
                "weight). Leave it out."
            )
        return cls(shift=moments.mean, scale=deviation)

    @classmethod
    def identity(cls, n_features: int) -> Standardisation:
        """The map that changes nothing."""
        return cls(shift=np.zeros(n_features), scale=np.ones(n_features))

    def forward(self, rows: Float64[np.ndarray, "*batch D"]) -> Float64[np.ndarray, "*batch D"]:
        """From the user's units to standard ones."""
        return (rows - self.shift) / self.scale

    def inverse(self, z: Float64[np.ndarray, "*batch D"]) -> Float64[np.ndarray, "*batch D"]:
        """From standard units to the user's: ``forward`` undone to within 4 ulp of the largest |x|."""
        return z * self.scale + self.shift

    @property
    def log_jacobian(self) -> float:
        """``sum(log(scale))``, to be taken from a log density in standard units."""
        return float(np.sum(np.log(self.scale)))
