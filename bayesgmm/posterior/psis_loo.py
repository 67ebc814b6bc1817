"""Leave-one-out densities by Pareto-smoothed importance sampling: ArviZ's, with its complaints in our words."""

from __future__ import annotations

import warnings
from typing import Any

STILL = (
    "Expected draws that differ; for some row the sampler gave the same density again and again: it stood still, or "
    "made too few draws. posterior.diagnostics() tells; sample anew."
)


def psis_loo(data: Any) -> Any:
    """ArviZ's ``ELPDData`` of draws that have a log-likelihood (Vehtari, Gelman & Gabry 2017).

    Raises a ValueError if draws repeat themselves, for then no tail can be smoothed.
    """
    import arviz_stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about high k-hat: said in words where it can be seen
        try:
            return arviz_stats.loo(data, pointwise=True)
        except ValueError as error:
            if "tail values" not in str(error):
                raise
            raise ValueError(STILL) from error
