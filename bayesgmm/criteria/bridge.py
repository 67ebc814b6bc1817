"""Bridge sampling: the normalising constant of a density, from draws of it and draws of a proposal."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

MOST_STEPS = 1000
CLOSE = 1e-12


@dataclasses.dataclass(frozen=True)
class Bridge:
    """What bridge sampling found.

    Attributes
    ----------
    log_constant : log of the integral of the unnormalised density
    standard_error : of ``log_constant``, Monte Carlo
    overlap : between 0 and 1, the integral of ``p q / (s_1 p + s_2 q)``; 1 where proposal and density are the same
    effective_draws : how many independent draws the draws of p are worth, for this estimate
    rhat : of the bridge function over the chains: whether they agree
    importance : the plain importance-sampling estimate, from the proposal's draws alone
    reciprocal : the reciprocal one, from the draws of p alone; unreliable, shown as a check
    n_steps : of the fixed-point iteration
    """

    log_constant: float
    standard_error: float
    overlap: float
    effective_draws: float
    rhat: float
    importance: float
    reciprocal: float
    n_steps: int


def bridge(at_draws: Float[np.ndarray, "c n"], at_proposal: Float[np.ndarray, " m"]) -> Bridge:
    r"""The optimal bridge estimate (Meng & Wong 1996), by their iteration.

    .. math:: Z = \frac{E_q[l / (s_1 l + s_2 Z)]}{E_p[1 / (s_1 l + s_2 Z)]}, \qquad l = p^*/q

    s_1 and s_2 are the shares of the two samples, that of p by its effective size (Gronau et al. 2017). The standard
    error is the root of the relative mean squared error of Fruehwirth-Schnatter (2004, section 4), with the
    autocorrelation and the disagreement of the chains in it.

    Parameters
    ----------
    at_draws : (chains, draws) log of ``p* / q`` at the draws of p
    at_proposal : (M,) the same at independent draws of q
    """
    effective = _effective(np.exp(-np.logaddexp(at_draws - np.median(at_draws), 0.0)))
    for _ in range(2):  # the effective size is that of the bridge function, which needs the constant
        share = effective / (effective + at_proposal.size)
        log_z, n_steps = _fixed_point(at_draws.ravel(), at_proposal, share)
        under_p, under_q = _functions(at_draws, at_proposal, share, log_z)
        effective = _effective(under_p)
    relative = _variance(under_p) / effective + _variance(under_q) / at_proposal.size
    return Bridge(
        log_constant=float(log_z),
        standard_error=float(np.sqrt(relative)),
        overlap=float(np.mean(under_q)),
        effective_draws=effective,
        rhat=_rhat(under_p),
        importance=float(logsumexp(at_proposal) - np.log(at_proposal.size)),
        reciprocal=float(np.log(at_draws.size) - logsumexp(-at_draws)),
        n_steps=n_steps,
    )


def _fixed_point(
    at_draws: Float[np.ndarray, " n"], at_proposal: Float[np.ndarray, " m"], share: float
) -> tuple[float, int]:
    log_z = float(np.median(at_draws))
    for step in range(1, MOST_STEPS + 1):  # noqa: B007 - told
        of_p = np.log(share) + at_draws, np.log1p(-share) + log_z
        of_q = np.log(share) + at_proposal, np.log1p(-share) + log_z
        above = logsumexp(at_proposal - np.logaddexp(*of_q)) - np.log(at_proposal.size)
        below = logsumexp(-np.logaddexp(*of_p)) - np.log(at_draws.size)
        log_z, before = float(above - below), log_z
        if abs(log_z - before) < CLOSE * max(1.0, abs(log_z)):
            break
    return log_z, step


def _functions(
    at_draws: Float[np.ndarray, "c n"], at_proposal: Float[np.ndarray, " m"], share: float, log_z: float
) -> tuple[Float[np.ndarray, "c n"], Float[np.ndarray, " m"]]:
    """``q / (s_1 p + s_2 q)`` at the draws of p and ``p / (s_1 p + s_2 q)`` at those of q, p normalised."""
    own, other = np.log(share), np.log1p(-share)
    under_p = np.exp(-np.logaddexp(own + at_draws - log_z, other))
    under_q = np.exp(-np.logaddexp(own, other + log_z - at_proposal))
    return under_p, under_q


def _variance(values: Float[np.ndarray, "..."]) -> float:
    """Relative variance."""
    return float(np.var(values, ddof=1) / np.mean(values) ** 2)


def _constant(values: Float[np.ndarray, "c n"]) -> bool:
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def _effective(values: Float[np.ndarray, "c n"]) -> float:
    """Effective draws for the mean of the values (chains, draws), at most as many as there are."""
    import arviz_stats

    if _constant(values):
        return float(values.size)
    found = float(arviz_stats.ess(values, method="mean"))
    return min(found, float(values.size)) if np.isfinite(found) else 1.0


def _rhat(values: Float[np.ndarray, "c n"]) -> float:
    """Rank-normalised R-hat over the chains; 1 where there is nothing to compare."""
    import arviz_stats

    if len(values) < 2 or _constant(values):
        return 1.0
    return float(arviz_stats.rhat(values))
