"""Features of few different values, which are no densities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from bayesgmm.data.rows import Data

FEW_VALUES = 10  # of a feature, from which components can choose
MANY, THIN = 50, 1000  # rows from which on so few values are no accident; rows at which to look first


def few_valued(data: Data) -> dict[str, Float64[np.ndarray, " v"]]:
    """Features of few different values, as counts and codes have, and these values (v,), in increasing order."""
    found = {}
    for name, column in zip(data.feature_names, data.rows.T, strict=True):
        if data.n_rows >= MANY and np.unique(column[:THIN]).size <= FEW_VALUES:
            values = np.unique(column)
            if values.size <= FEW_VALUES:
                found[name] = values
    return found
