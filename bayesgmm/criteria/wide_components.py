"""Components that lie under others: wide ones that hold what the tails of narrower ones leave over."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import chi2

COVERED = 0.9  # of a wide component's own rows lie as near its centre as that of the component it covers
WIDER = 2.5  # times as wide as that, in geometric mean over the axes


def wide_components(fit: Any) -> tuple[int, ...]:
    """Components of a fit by EM that cover the centre of another and are at least 2.5 times as wide."""
    k, d = fit.means.shape
    dense = np.asarray(fit.model.structure.dense(fit.covariances, k, d))
    half_log_det = 0.5 * np.linalg.slogdet(dense)[1]
    found = []
    for j in range(k):
        away = fit.means - fit.means[j]
        squared = np.sum(away * np.linalg.solve(dense[j], away.T).T, axis=1)
        narrower = half_log_det[j] - half_log_det >= d * np.log(WIDER)
        if np.any(narrower & (squared <= chi2(d).ppf(COVERED))):
            found.append(j)
    return tuple(found)
