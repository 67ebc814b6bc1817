"""Leave-one-out predictive accuracy of posteriors: elpd, larger is better."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bayesgmm.posterior.posterior import Posterior

HIGHER_IS_BETTER = True


def loo(posterior: Posterior) -> Any:
    """Expected log predictive density of new rows, by Pareto-smoothed importance sampling (Vehtari et al. 2017).

    Assignments are summed out of every row's likelihood, without which the method does not hold for mixtures.
    Returns ArviZ's ``ELPDData``: ``elpd``, ``se``, ``p`` (effective number of parameters), and for every row
    ``elpd_i`` and ``pareto_k``; :func:`khat_in_words` says whether to trust them.
    """
    import arviz_stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about high k-hat: said in words where it can be seen
        return arviz_stats.loo(posterior.data, pointwise=True)


def khat_in_words(elpd: Any) -> str:
    """How many rows the approximation failed for (Vehtari et al. 2024, section 3: k-hat above ``good_k``)."""
    khat = np.asarray(elpd.pareto_k).ravel()
    n_bad = int((khat > elpd.good_k).sum())
    if n_bad == 0:
        return f"all {khat.size} k-hat are below {elpd.good_k:.2f} (largest {khat.max():.2f}): the estimate holds"
    return (
        f"{n_bad} of {khat.size} k-hat exceed {elpd.good_k:.2f} (largest {khat.max():.2f}, row {khat.argmax()}): "
        f"elpd is too high by an unknown amount; {'this row decides' if n_bad == 1 else 'these rows decide'} "
        "a component, or more draws are needed"
    )


def elpd_difference(a: Any, b: Any) -> tuple[float, float]:
    """``elpd(a) - elpd(b)`` and its standard error from the rowwise differences (Vehtari et al. 2017, eq. 24).

    The error is too small where the difference is below 4 or rows are few (Sivula et al. 2020).
    """
    rowwise = np.ravel(a.elpd_i) - np.ravel(b.elpd_i)
    return float(rowwise.sum()), math.sqrt(rowwise.size * float(rowwise.var()))


def stacking_weights(elpds: Mapping[str, Any]) -> dict[str, float]:
    """Weights of the mixture of posteriors that predicts best (Yao et al. 2018)."""
    import arviz_stats

    # Newer versions round unless told not to; older ones do not know the word.
    known = inspect.signature(arviz_stats.compare).parameters
    options = {"round_to": "none"} if "round_to" in known else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = arviz_stats.compare(dict(elpds), method="stacking", **options)
    return {name: float(weight) for name, weight in table["weight"].items()}
