"""What fits say of rows that they have not seen: rows held out, or each fold in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.criteria.cross_validation import cross_validate
from bayesgmm.criteria.fit_row import row_weights
from bayesgmm.criteria.predictive import elpd_difference
from bayesgmm.data import Data

Tell = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """Log densities of rows that a fit has not seen.

    Attributes
    ----------
    elpd_i : (M,) of each row, in nats and the user's units
    sample_weight : (M,)
    warnings : what went wrong on the way, in words
    """

    elpd_i: Float64[np.ndarray, " M"]
    sample_weight: Float64[np.ndarray, " M"]
    warnings: tuple[str, ...] = ()


def of_rows(fits: Mapping[str, Any], rows: Data) -> dict[str, HeldOut]:
    """Every fit's log densities of rows held out; of a posterior, averaged over its draws."""
    return {name: HeldOut(fit.score_samples(rows), np.ones(rows.n_rows)) for name, fit in fits.items()}


def by_folds(fits: Mapping[str, Any], n_folds: Any, seed: int, tell: Tell | None) -> dict[str, HeldOut]:
    """Each fit's own model and engine fitted anew to all folds but one; the folds are the same for all.

    The prior is the one that the fit has, the same for every fold.
    """
    out = {}
    for name, fit in fits.items():

        def told(_: str, done: int, total: int, name: str = name) -> None:
            if tell is not None:
                tell(f"folds of {name}", done, total)

        weight = row_weights(fit)
        found = cross_validate(
            fit.observed,
            fit.model,
            fit.engine,
            n_folds=n_folds,
            sample_weight=None if np.all(weight == 1) else weight,
            random_state=seed,
            progress=told,
        )
        own = fit.warnings
        warnings = tuple(w for w in found.warnings if not any(w.endswith(words) for words in own))
        out[name] = HeldOut(found.elpd_i, found.sample_weight, warnings)
    return out


def held_out_columns(found: Mapping[str, HeldOut]) -> dict[str, dict[str, float]]:
    """Mean log density a row, its standard error, and the difference from the best fit with its own."""
    total = {name: one.sample_weight.sum() for name, one in found.items()}
    means = {name: float(one.elpd_i @ one.sample_weight / total[name]) for name, one in found.items()}
    best = max(means, key=lambda name: means[name])
    nothing = HeldOut(np.zeros_like(found[best].elpd_i), found[best].sample_weight)
    out = {}
    for name, one in found.items():
        error = elpd_difference(one, nothing)[1]
        difference, difference_error = elpd_difference(one, found[best])
        out[name] = {
            "held_out": means[name],
            "held_out_se": error / total[name],
            "held_out_difference": difference / total[name],
            "held_out_difference_se": difference_error / total[name],
        }
    return out
