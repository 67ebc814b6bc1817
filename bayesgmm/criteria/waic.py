"""The widely applicable information criterion of a posterior's draws."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.special import logsumexp

MOST_VARIANCE = (
    0.4  # of a row's log density over the draws, from which WAIC misleads (Vehtari et al. 2017, section 2.2)
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class WAIC:
    """Expected log density of new rows, in nats; larger is better.

    Attributes
    ----------
    elpd_i, p_i : (N,) each row's log density less its variance, and that variance
    """

    elpd_i: Float64[np.ndarray, " N"]
    p_i: Float64[np.ndarray, " N"]

    @property
    def elpd(self) -> float:
        """Summed over the rows."""
        return float(self.elpd_i.sum())

    @property
    def se(self) -> float:
        """Standard error of ``elpd``: rows are a sample."""
        return math.sqrt(self.elpd_i.size * float(self.elpd_i.var()))

    @property
    def p(self) -> float:
        """Effective number of parameters."""
        return float(self.p_i.sum())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        bad = int(np.sum(self.p_i > MOST_VARIANCE))
        if not bad:
            return ()
        return (
            f"the log densities of {bad} of {self.p_i.size} rows vary by more than {MOST_VARIANCE} over the draws: "
            "WAIC is too high there. Use bayesgmm.loo, whose k-hat tells.",
        )

    def __repr__(self) -> str:
        line = f"WAIC: elpd {self.elpd:.2f} (standard error {self.se:.2f}), p {self.p:.2f}; larger elpd is better"
        return "\n".join([line, *(f"warning: {w}" for w in self.warnings)])


def waic(posterior: Any) -> WAIC:
    """Log predictive density less the variance of each row's log density over the draws (Watanabe 2010).

    ``elpd_i = log mean_s p(x_i | draw s) - var_s log p(x_i | draw s)`` (Gelman, Hwang & Vehtari 2014, equations 11
    and 13), assignments summed out; the variance has the divisor S, as ArviZ before 1.0 took it. LOO is to be
    preferred: its k-hat says when it fails.

    Raises a TypeError if ``posterior`` has no pointwise log-likelihood, as a fit by EM has not.
    """
    tree = getattr(posterior, "data", None)
    if tree is None or "log_likelihood" not in getattr(tree, "children", {}):
        raise TypeError(
            f"Expected a posterior with draws; got {type(posterior).__name__}. A fit by EM has "
            "bayesgmm.information_criteria and bayesgmm.cross_validate."
        )
    return waic_of(tree["log_likelihood"]["x"].values)


def waic_of(log_likelihood: Float64[np.ndarray, "chains draws N"]) -> WAIC:
    """:func:`waic` of pointwise log-likelihoods."""
    flat = log_likelihood.reshape(-1, log_likelihood.shape[-1])
    p = flat.var(axis=0)
    return WAIC(logsumexp(flat, axis=0) - math.log(len(flat)) - p, p)
