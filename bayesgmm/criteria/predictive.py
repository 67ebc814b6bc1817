"""Leave-one-out predictive accuracy of posteriors: elpd, larger is better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.criteria.exact_loo import refit_bad_rows
from bayesgmm.posterior.psis_loo import psis_loo

if TYPE_CHECKING:
    from bayesgmm.posterior.posterior import Posterior

HIGHER_IS_BETTER = True


def loo(
    posterior: Posterior,
    *,
    refit: bool = False,
    above: float | None = None,
    most: int = 20,
    random_state: Any = 0,
    progress: Any = False,
) -> Any:
    """Expected log predictive density of new rows, by Pareto-smoothed importance sampling (Vehtari et al. 2017).

    Assignments are summed out of every row's likelihood, without which the method does not hold for mixtures. Draws
    of a variational approximation are too narrow and their elpd too high: take ``bayesgmm.cross_validate`` for these.
    Returns ArviZ's ``ELPDData``: ``elpd``, ``se``, ``p`` (effective number of parameters), and for every row
    ``elpd_i`` and ``pareto_k``; ``bayesgmm.criteria.predictive.khat_in_words`` says whether to trust them.

    With ``refit`` rows of high k-hat (``above``), at most so many, are scored exactly by sampling the posterior without
    them; their k-hat is then 0. See ``bayesgmm.criteria.exact_loo.refit_bad_rows``.
    """
    if not hasattr(posterior, "data"):
        raise TypeError(
            f"Expected a posterior with draws; got {type(posterior).__name__}. A fit by EM has "
            "bayesgmm.cross_validate."
        )
    elpd = psis_loo(posterior.data)
    if not refit:
        return elpd
    return refit_bad_rows(
        posterior, elpd, above=above, most=most, random_state=random_state, progress=progress
    )


def khat_in_words(elpd: Any) -> str:
    """How many rows the approximation failed for (Vehtari et al. 2024, section 3: k-hat above ``good_k``)."""
    khat = np.asarray(elpd.pareto_k).ravel()
    n_bad = n_high_khat(elpd)
    if n_bad == 0:
        return f"all {khat.size} k-hat are below {elpd.good_k:.2f} (largest {khat.max():.2f}): the estimate holds"
    return (
        f"{n_bad} of {khat.size} k-hat exceed {elpd.good_k:.2f} (largest {khat.max():.2f}, row {khat.argmax()}): "
        f"elpd is too high by an unknown amount; {'this row decides' if n_bad == 1 else 'these rows decide'} "
        "a component, or more draws are needed; bayesgmm.loo(posterior, refit=True) samples anew without "
        f"{'it' if n_bad == 1 else 'them'}"
    )


def n_high_khat(elpd: Any) -> int:
    """Rows for which importance sampling failed; 0 where none was used, as by WAIC and by folds."""
    khat = getattr(elpd, "pareto_k", None)
    return 0 if khat is None else int((np.ravel(khat) > elpd.good_k).sum())


def elpd_difference(a: Any, b: Any) -> tuple[float, float]:
    """``elpd(a) - elpd(b)`` and its standard error from the rowwise differences (Vehtari et al. 2017, eq. 24).

    Rows count by their weight, where they have one. The error is too small where the difference is below 4 or rows are
    few (Sivula et al. 2020).
    """
    rowwise = np.ravel(a.elpd_i) - np.ravel(b.elpd_i)
    weight = np.asarray(getattr(a, "sample_weight", np.ones(rowwise.size)))
    mean = float(weight @ rowwise / weight.sum())
    return float(weight @ rowwise), math.sqrt(float(weight @ (rowwise - mean) ** 2))
