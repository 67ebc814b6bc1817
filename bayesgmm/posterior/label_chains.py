"""Whether chains of label draws tell the same: labels have no mean, but a distance from one partition has."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.posterior.losses import losses_of_numbered

AGREE = 1.05  # R-hat up to which chains tell the same, as for parameters


def mean_by_chain(
    by_chain: Float64[np.ndarray, "C S"], values: Float64[np.ndarray, " S"]
) -> Float64[np.ndarray, " C"]:
    """Every chain's mean of a quantity of the distinct draws."""
    return by_chain @ values


def potential_scale_reduction(
    by_chain: Float64[np.ndarray, "C S"], values: Float64[np.ndarray, " S"], n_draws: int
) -> float:
    """R-hat of a quantity of the draws: 1 where chains agree, inf where each is constant and they differ.

    sqrt((n - 1) / n + B / (n W)) with B / n the variance between the chains' means and W the mean variance within
    (Gelman & Rubin 1992, section 2.2), whose chains need no order.

    Parameters
    ----------
    by_chain : (C, S) share of every chain's draws in each of the distinct ones
    values : (S,) the quantity at each of these
    n_draws : of a chain
    """
    means = mean_by_chain(by_chain, values)
    if len(means) < 2 or n_draws < 2:
        return float("nan")
    within = float(np.mean(by_chain @ values**2 - means**2)) * n_draws / (n_draws - 1)
    between = float(np.var(means, ddof=1))
    if within <= 1e-12 * max(1.0, between):
        return 1.0 if between <= 1e-24 else float("inf")
    return float(np.sqrt((n_draws - 1) / n_draws + between / within))


def disagreement(partition: Any) -> list[str]:
    """A sentence where chains of label draws are not draws of one posterior.

    Judged by the distance from the partition and from the commonest draw of every chain: from a compromise alone two
    camps may lie equally far.
    """
    draws = partition.draws
    if draws.by_chain is None or partition.source is not None:
        return []
    distances = {"the partition": partition.ball.distances}
    for c, share in enumerate(draws.by_chain):
        anchor = draws.labels[share.argmax()].astype(np.intp)
        distances[f"the commonest draw of chain {c}"] = losses_of_numbered(anchor, draws, partition.ball.loss)
    n_draws = draws.n_draws // len(draws.by_chain)
    r_hat = {
        name: potential_scale_reduction(draws.by_chain, values, n_draws) for name, values in distances.items()
    }
    worst = max(r_hat, key=lambda name: r_hat[name])
    if not r_hat[worst] > AGREE:
        return []
    unit = f" {partition.ball.loss.unit}".rstrip()
    means = ", ".join(f"{mean:.3g}" for mean in mean_by_chain(draws.by_chain, distances[worst]))
    return [
        f"the chains disagree: their mean distances from {worst} are {means}{unit} (R-hat {r_hat[worst]:.2f}); run "
        "them longer, or look at one partition a chain, before one is reported for all"
    ]
