"""A sampler's verdict in words: what its diagnostics object to, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

R_HAT = 1.01  # Vehtari et al. 2021
APART = 1.05  # beyond this, chains are in different places rather than merely short
ESS_PER_CHAIN = 100  # Vehtari et al. 2021: 100 a chain, bulk and tail
EBFMI = 0.3  # Betancourt 2016


def objections(
    found: Mapping[str, Any], chains: int, n_draws: int, places: str, others: tuple[str, ...]
) -> tuple[str, ...]:
    """What to mend, in words: agreement of the chains first, then how much they say, then their trajectories.

    ``places`` says where the chains stay, if they stay apart, and ``others`` which samplers may do better.
    """
    alone = "One chain cannot show that it missed a mode: run at least four." if chains < 2 else ""
    least = ESS_PER_CHAIN * chains
    tables = [found[name][["ess_bulk", "ess_tail"]] for name in ("invariants", "parameters")]
    few = f"Some quantities have fewer than {least} effective draws in bulk or tail: raise num_samples."
    few = few if min(table.min().min() for table in tables) < least else ""
    said = (
        alone,
        _disagreement(found, chains, bool(places), others),
        few,
        *_on_trajectories(found, n_draws),
        places,
    )
    return tuple(filter(None, said))


def _disagreement(found: Mapping[str, Any], chains: int, apart: bool, others: tuple[str, ...]) -> str:
    """What R-hat objects to: quantities without labels before single components."""
    (worst, name), (own, own_name) = (
        _largest(found[table]["r_hat"]) for table in ("invariants", "parameters")
    )
    if not (np.isfinite(worst) and np.isfinite(own)):
        return "Too few draws to judge convergence: raise num_samples to a hundred or more." * (chains > 1)
    if worst > APART:
        why = (
            "the posterior has several modes that the chains do not all visit alike. Averages over them mean nothing"
            if apart
            else "they have mixed too little. Averages over them are rough"
        )
        another = f"try another sampler ({', or '.join(others)}), " if others else ""
        return (
            f"The chains disagree on label-invariant quantities (R-hat {_r_hat(worst)} for {name}): {why}: draw "
            f"longer, {another}or simplify the model."
        )
    if own > APART and worst <= R_HAT:
        return (
            f"Relabelled parameters disagree between chains (R-hat {own:.3f} for {own_name}) though label-invariant "
            "quantities agree: read densities and partitions, not components."
        )
    if max(worst, own) > R_HAT:
        return (
            f"R-hat is {max(worst, own):.3f} for {name if worst >= own else own_name}, above {R_HAT}: the chains have "
            "not mixed fully. Raise num_samples."
        )
    return ""


def _on_trajectories(found: Mapping[str, Any], n_draws: int) -> Iterator[str]:
    if found["n_divergent"]:
        yield (
            f"{found['n_divergent']} of {n_draws} transitions diverged: raise target_accept_prob (say 0.95), or give "
            "the components a stronger prior."
        )
    if np.any(found["ebfmi"] < EBFMI):
        yield "The energy moves slowly (E-BFMI below 0.3): heavy tails; draw more or tighten the prior."
    if found["n_deepest"] > 0.01 * n_draws:
        yield "Trajectories often reach their longest: the geometry is hard; raise max_tree_depth (HMC: max_steps)."


def in_short(table: Any) -> str:
    """The worst R-hat and the fewest effective draws of a table of quantities."""
    least = table[["ess_bulk", "ess_tail"]].min().min()
    worst = table["r_hat"].max()
    agreement = f"R-hat at most {worst:.3f}" if np.isfinite(worst) else "no R-hat from so few draws"
    return f"{agreement}, at least {least:.0f}"


def _r_hat(value: float) -> str:
    """In print; chains that stand still apart from each other have a ratio of rounding errors."""
    return f"{value:.3f}" if value < 1e3 else "beyond 1000"


def _largest(r_hat: Any) -> tuple[float, str]:
    """The largest R-hat and the quantity it belongs to; NaN where none could be computed."""
    return (float("nan"), "") if r_hat.isna().all() else (float(r_hat.max()), str(r_hat.idxmax()))
