"""The bootstrap of an EM fit: draws of its parameters, where no posterior was computed."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from bayesgmm.data import Data, Standardisation
from bayesgmm.inference.em.degeneracy import floor_of, without_spikes
from bayesgmm.inference.em.em import em_settings
from bayesgmm.inference.em.intervals import Intervals
from bayesgmm.inference.em.refits import refit_many
from bayesgmm.inference.em.resampling import check_kind, data_sets
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.em.standard_errors import StandardErrors
from bayesgmm.inference.em.steps import MAX_STEPS
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.predict import MixturePredictor
from bayesgmm.posterior.relabel import contingency_tables, match
from bayesgmm.random_state import as_seed


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(MixturePredictor):
    """EM refitted to resampled rows; what predicts and partitions as a posterior does.

    Attributes
    ----------
    fit : the EM fit
    resampling : "parametric", "nonparametric" or "bayesian"
    draws : the refitted mixtures (S, ...), standardised as the fit was, components numbered as the fit's
    n_failed : refits that ended in a spike, lost a component or found no finite likelihood, left out
    n_unconverged : refits among the draws that stopped at max_steps
    """

    fit: EMResult
    resampling: str
    draws: Mixture
    n_failed: int
    n_unconverged: int

    kind = "EM bootstrap"

    @property
    def observed(self) -> Data:  # type: ignore[override]
        return self.fit.observed

    @property
    def model(self) -> FiniteMixture:
        return self.fit.model

    @property
    def standardisation(self) -> Standardisation:  # type: ignore[override]
        return self.fit.standardisation

    @property
    def n_components(self) -> int:
        return self.draws.n_components

    @property
    def n_draws(self) -> int:
        return self.draws.log_weights.shape[0]

    @cached_property
    def _user(self) -> Mixture:
        return self.restore(self.draws)

    @property
    def weights(self) -> Float64[np.ndarray, "S K"]:
        """Mixing weights of every refit."""
        return np.exp(self._user.log_weights)

    @property
    def means(self) -> Float64[np.ndarray, "S K D"]:
        """Means of every refit."""
        return self._user.means

    @property
    def covariances(self) -> NDArray[np.float64]:
        """Covariances of every refit, in scikit-learn's shape after the leading axis."""
        return self._user.covariances

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        out = []
        if self.n_failed:
            of = self.n_failed + self.n_draws
            out.append(
                f"{self.n_failed} of {of} refits ended in a spike, lost a component or found no finite likelihood, "
                "and were left out: the spread is too small. Fit fewer components."
            )
        if self.n_unconverged:
            out.append(f"{self.n_unconverged} of {self.n_draws} refits stopped at max_steps: raise it.")
        return tuple(out)

    @property
    def source(self) -> str:
        """What the draws are, in words."""
        name = "Bayesian" if self.resampling == "bayesian" else self.resampling
        return f"{name} bootstrap of {self.n_draws} refit{'s' * (self.n_draws > 1)}"

    def standard_errors(self) -> StandardErrors:
        """Standard deviations of the refits, in the shape of :meth:`EMResult.standard_errors`.

        Raises a ValueError if there are fewer than two.
        """
        if self.n_draws < 2:
            raise ValueError(f"Expected at least 2 refits for standard errors; got {self.n_draws}.")
        s = self.n_draws
        parameters = (self.weights, self.means.reshape(s, -1), self.covariances.reshape(s, -1))
        covariance = np.cov(np.concatenate(parameters, axis=1), rowvar=False)
        return StandardErrors.of_covariance(self.fit, np.atleast_2d(covariance), self.source, self.warnings)

    def intervals(self, probability: Any = 0.95) -> Intervals:
        """Percentile intervals of equal tails (Efron & Tibshirani 1993, chapter 13).

        Raises a ValueError if the probability is not between 0 and 1, or less than one refit lies in each tail.
        """
        if not isinstance(probability, int | float | np.number) or not 0 < probability < 1:
            raise ValueError(f"Expected probability to be a number between 0 and 1; got {probability!r}.")
        tail = (1 - probability) / 2
        if self.n_draws * tail < 1 - 1e-9:
            raise ValueError(
                f"Expected at least {int(np.ceil(1 / tail - 1e-9))} refits for {100 * probability:g} % intervals; "
                f"got {self.n_draws}. Raise n_draws."
            )
        parameters = (self.weights, self.means, self.covariances)
        ends = (np.quantile(draws, [tail, 1 - tail], axis=0) for draws in parameters)
        return Intervals(self.fit, *ends, float(probability), self.source)

    def __repr__(self) -> str:
        if self.n_draws > 1:
            return repr(self.standard_errors())
        return "\n".join([f"{self.source} of an EM fit", *(f"warning: {w}" for w in self.warnings)])


def bootstrap(
    em: Any, n_draws: Any = 200, random_state: Any = 0, *, kind: str = "parametric", progress: Any = False
) -> Bootstrap:
    """Refit an EM fit to data sets like its own; the spread of the refits is the uncertainty of its parameters.

    Each refit begins at the fit itself: that is the optimum whose uncertainty is asked for, it needs few steps,
    and its components keep their numbers (McLachlan & Peel 2000, section 2.16). Other optima of a data set are not
    looked for, so a likelihood of several modes is described around the one that was chosen.

    Parameters
    ----------
    em : EMResult
    n_draws : how many refits
    random_state : int, numpy Generator or JAX key; the i-th refit does not depend on ``n_draws``
    kind : "parametric" (rows drawn from the fit: right if the model is), "nonparametric" (rows drawn with replacement:
        holds where the model is wrong too) or "bayesian" (rows with Dirichlet weights: the same for any sample_weight)
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    TypeError
        If ``em`` is not an EM fit.
    ValueError
        If its rows are weighted and ``kind`` cannot have that, ``n_draws`` is below 1, or no refit succeeds.
    """
    if not isinstance(em, EMResult):
        raise TypeError(
            f"Expected em to be a fit by EM; got {type(em).__name__}. A posterior has its own draws."
        )
    if not isinstance(n_draws, int | np.integer) or isinstance(n_draws, bool) or n_draws < 1:
        raise ValueError(f"Expected n_draws to be an integer of at least 1; got {n_draws!r}.")
    check_kind(em, kind)
    problem = em.problem
    prior = None if em.log_posterior is None else problem.standard_model()
    with progress_reporter(progress) as report:
        refits = refit_many(
            data_sets(em, int(n_draws), as_seed(random_state), kind),
            prior,
            em_settings(em.engine, problem),
            lambda mixtures: _sound(mixtures, problem, floor_of(em.engine, problem)),
            lambda ended: report and report("bootstrap", ended, int(n_draws)),
        )
    kept = np.isfinite(refits.objective)
    if not kept.any():
        raise ValueError(f"None of {n_draws} refits found a sound, finite maximum. Fit fewer components.")
    draws = refits.mixture.at_draws(kept)
    order = match(contingency_tables(draws, problem.rows, em.predict()))
    unconverged = int(np.sum(kept & (refits.status == MAX_STEPS)))
    return Bootstrap(em, kind, draws.permute(order), int(np.sum(~kept)), unconverged)


def _sound(mixtures: Mixture, problem: Problem, floor: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether every component of mixtures (..., K, ...) holds a row's worth at least, and none is a spike."""
    held = np.exp(mixtures.log_weights).min(axis=-1) * problem.sample_weight.sum()
    return (held >= 1.0) & without_spikes(mixtures, problem, floor)
