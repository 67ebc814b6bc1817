"""What an SVI fit says of itself: ELBO, k-hat and status, in numbers and in words."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.svi.guides import find_guide
from bayesgmm.posterior.pareto import effective_draws, smooth, threshold

RICHER = ("multivariate_normal", "flow")
GOOD = 0.5  # k-hat below which the importance weights have a finite variance


class Account(NamedTuple):
    """The fit's own account.

    Attributes
    ----------
    elbo, elbo_se : mean of the log importance weights and its Monte Carlo error, in the user's units
    pareto_k : k-hat of the weights
    history : (n_steps,) the ELBO at each step, noisy
    verdict : on the approximation
    remarks : what a reader must be warned of
    """

    elbo: float
    elbo_se: float
    pareto_k: float
    log_evidence: float
    effective_draws: float
    status: str
    history: NDArray[np.float64]
    verdict: str
    remarks: tuple[str, ...]

    def group(self) -> Any:
        """As a group of the result's DataTree."""
        import xarray as xr

        numbers = ("elbo", "elbo_se", "pareto_k", "log_evidence", "effective_draws", "status", "verdict")
        attrs = {name: getattr(self, name) for name in numbers} | {"n_steps": self.history.size}
        dataset = xr.Dataset({"elbo_history": ("step", self.history)}, attrs=attrs)
        return xr.DataTree(dataset)


def describe(engine: Any, problem: Any, fitted: Any, weighted: Any) -> Account:
    """The account of a fitted guide, from its weighted draws."""
    ratios = weighted.log_joint - weighted.log_guide - problem.log_jacobian
    if not np.isfinite(ratios).all():
        raise ValueError(
            f"{int((~np.isfinite(ratios)).sum())} of {ratios.size} draws of the guide have no finite density under "
            "the model: use guide='multivariate_normal', or an optimizer with shorter steps."
        )
    log_weights, k = smooth(ratios)
    elbo, error = float(ratios.mean()), float(ratios.std() / np.sqrt(ratios.size))
    effective = effective_draws(log_weights)
    top = ratios.max()
    log_evidence = float(top + np.log(np.mean(np.exp(ratios - top))))
    head = f"ELBO {elbo:.3f} (Monte Carlo error {error:.3f}), {fitted.status.value}. "
    verdict, remarks = _judged(k, ratios.size, effective, engine)
    note = find_guide(engine.guide).note
    if not fitted.status.ok:
        remarks = (f"The fit: {fitted.status.value}.", *remarks)
    if fitted.n_bad:
        remarks = (
            *remarks,
            f"The ELBO was not finite at {fitted.n_bad} of {fitted.losses.size} steps, which were not taken.",
        )
    remarks = (*remarks, note) if note else remarks
    history = -fitted.losses - problem.log_jacobian
    return Account(
        elbo, error, k, log_evidence, effective, fitted.status.value, history, head + verdict, remarks
    )


def _judged(k: float, n_draws: int, effective: float, engine: Any) -> tuple[str, tuple[str, ...]]:
    """The verdict of k-hat on the approximation, and a warning where it is poor."""
    worth = f"{n_draws} draws are worth {effective:.0f} of the posterior's"
    seen = " It speaks of this mode and labelling only: what the guide never visits, it cannot see."
    if k < GOOD:
        return f"k-hat {k:.2f}: the guide is close to the posterior ({worth}).{seen}", ()
    if k <= threshold(n_draws):
        advice = (
            "the draws are corrected for it" if engine.corrected else "SVI(corrected=True) mends what is left"
        )
        return f"k-hat {k:.2f}: the guide is usable, and {advice} ({worth}).{seen}", ()
    richer = [repr(name) for name in RICHER if name != engine.guide]
    words = (
        f"k-hat {k:.2f}, above {threshold(n_draws):.2f}: the guide is not close to the posterior, and importance "
        "weights cannot mend it. Means may serve; spreads and tails do not. Use a richer guide "
        f"({', '.join(richer)}) or NUTS."
    )
    return words + seen, (words,)
