"""The parametric bootstrap of an EM fit: draws of its parameters, where no posterior was computed."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from bayesgmm.data import Data, Standardisation
from bayesgmm.inference.fit import fit
from bayesgmm.inference.result import EMResult
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.predict import MixturePredictor
from bayesgmm.posterior.relabel import relabel
from bayesgmm.random_state import as_seed


@dataclasses.dataclass(frozen=True)
class Bootstrap(MixturePredictor):
    """EM refitted to rows drawn from an EM fit; what predicts and partitions as a posterior does.

    Attributes
    ----------
    draws : the refitted mixtures (S, ...), standardised as the fit was, components matched to each other
    n_failed : refits that found no finite likelihood, left out
    """

    observed: Data
    model: FiniteMixture
    standardisation: Standardisation
    draws: Mixture
    n_failed: int

    kind = "EM bootstrap"

    @property
    def n_components(self) -> int:
        return self.draws.n_components


def bootstrap(em: Any, n_draws: Any = 200, random_state: Any = 0) -> Bootstrap:
    """Draw as many rows as there are from an EM fit, refit, and repeat (Efron & Tibshirani 1993, section 6.5).

    The spread of the refits stands in for the uncertainty of the parameters, so that ``bayesgmm.partition`` of the
    result and of a posterior are on one scale. Each refit begins at the fit itself.

    Parameters
    ----------
    em : EMResult of unweighted rows
    n_draws : how many refits

    Raises
    ------
    TypeError
        If ``em`` is not an EM fit.
    ValueError
        If its rows were weighted, ``n_draws`` is below 1, or no refit succeeds.
    """
    if not isinstance(em, EMResult):
        raise TypeError(
            f"Expected em to be a fit by EM; got {type(em).__name__}. A posterior has its own draws."
        )
    if not np.all(em.sample_weight == 1):
        raise ValueError(
            "Expected an EM fit without sample_weight; how often weighted rows occur is not known."
        )
    if not isinstance(n_draws, int | np.integer) or n_draws < 1:
        raise ValueError(f"Expected n_draws to be an integer of at least 1; got {n_draws!r}.")
    rng = np.random.default_rng(as_seed(random_state))
    engine = dataclasses.replace(em.engine, n_init=1)
    factor, shift = 1.0 / em.standardisation.scale, -em.standardisation.shift / em.standardisation.scale
    found = [em.mixture]
    for _ in range(n_draws):
        rows, _ = em.sample(em.observed.n_rows, rng)
        refit = fit(rows, em.model, engine, start=em, random_state=rng)
        if np.isfinite(refit.log_likelihood):
            found.append(refit.restore(refit.mixture).rescale(factor, shift))
    if len(found) == 1:
        raise ValueError(f"None of {n_draws} refits found a finite likelihood. Fit fewer components.")
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *found)
    first = np.arange(len(found)) == 0
    matched, _ = relabel(stacked, em.standardisation.forward(em.observed.rows), first.astype(float))
    draws = jax.tree.map(lambda a: a[1:], matched)
    return Bootstrap(em.observed, em.model, em.standardisation, draws, n_draws + 1 - len(found))
