"""K components against K + 1 by the bootstrap of the likelihood ratio, stopped as soon as the answer is plain.

The ratio has no chi-squared distribution here, since under K components the parameters of one more are not identified.
So data sets are drawn from the fit, and both models are refitted to each (McLachlan 1987).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from bayesgmm.inference import start as starting
from bayesgmm.inference.em.degeneracy import floor_of, without_spikes
from bayesgmm.inference.em.em import em_settings
from bayesgmm.inference.em.refits import DataSet, refit_many
from bayesgmm.inference.em.resampling import simulated_rows
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.mixture import Mixture
from bayesgmm.random_state import as_seed

TOGETHER = 32  # data sets refitted between two looks at whether to stop
LEVEL = 0.05  # of the words in print alone


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LikelihoodRatioTest:
    """Whether one component more fits better than it would if it were not there.

    Attributes
    ----------
    fit : the EM fit of K components, the null hypothesis
    statistic : ``2 (log L_{K+1} - log L_K)`` of the rows
    drawn : (S,) the same of data sets drawn from the fit, as many as were needed
    exceedances : how many of them had to reach the statistic for the test to stop
    n_failed : data sets drawn for which K + 1 components found no sound maximum, left out
    """

    fit: EMResult
    statistic: float
    drawn: Float64[np.ndarray, " S"]
    exceedances: int
    n_failed: int

    @property
    def n_components(self) -> int:
        """K + 1, of the alternative."""
        return self.fit.n_components + 1

    @property
    def n_reached(self) -> int:
        """Data sets drawn whose statistic is as large as that of the rows."""
        return int(np.sum(self.drawn >= self.statistic))

    @property
    def stopped_early(self) -> bool:
        """Whether enough data sets reached the statistic before all were drawn."""
        return self.n_reached >= self.exceedances

    @property
    def p_value(self) -> float:
        """``h / S`` where h data sets ended it, else ``(g + 1) / (S + 1)`` (Besag & Clifford 1991, section 2)."""
        if self.stopped_early:
            return self.n_reached / len(self.drawn)
        return (self.n_reached + 1) / (len(self.drawn) + 1)

    @property
    def standard_error(self) -> float:
        """Of the p-value, from the number of data sets drawn."""
        p = self.p_value
        return p * math.sqrt((1 - p) / max(self.n_reached, 1))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        if not self.n_failed:
            return ()
        return (
            f"{self.n_failed} drawn data sets had no sound maximum of {self.n_components} components (spikes alone), "
            "and were left out.",
        )

    def __repr__(self) -> str:
        k, drawn = self.fit.n_components, len(self.drawn)
        verdict = (
            f"{k + 1} components fit better than chance allows"
            if self.p_value <= LEVEL
            else f"no evidence against {k} component{'s' * (k > 1)}"
        )
        early = " (stopped there: it is plain)" if self.stopped_early else ""
        lines = [
            f"bootstrap likelihood-ratio test of {k} against {k + 1} {self.fit.covariance_type} components for "
            f"{self.fit.observed.name} ({self.fit.observed.n_rows} x {self.fit.observed.n_features})",
            f"2 log likelihood ratio {self.statistic:.2f}; {self.n_reached} of {drawn} data sets drawn from {k} reach "
            f"it{early}",
            f"p = {self.p_value:.3f} (standard error {self.standard_error:.3f}): {verdict}",
        ]
        return "\n".join([*lines, *(f"warning: {w}" for w in self.warnings)])


def likelihood_ratio_test(
    em: Any,
    *,
    n_draws: Any = 199,
    exceedances: Any = 10,
    n_init: Any = 8,
    random_state: Any = 0,
    progress: Any = False,
) -> LikelihoodRatioTest:
    """Test the K components of a fit against K + 1 (McLachlan 1987), stopping early (Besag & Clifford 1991).

    The maximum of K + 1 components is sought for the rows just as for the data sets drawn, from as many starts, so that
    neither has an advantage: a better search of the rows alone would make every p-value too small.

    Parameters
    ----------
    em : fit by EM of K components, all rows of weight 1
    n_draws : data sets drawn at most; the smallest possible p-value is ``1 / (n_draws + 1)``
    exceedances : data sets that reach the statistic at which to stop; then the p-value has a relative error of about
        ``1 / sqrt(exceedances)``
    n_init : starts of K + 1 components from each data set, besides each of the K components split
    random_state : int, numpy Generator or JAX key; the i-th data set does not depend on ``n_draws``
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    TypeError
        If ``em`` is not a fit by EM.
    ValueError
        If it maximises a posterior, has weighted rows, or a number is below 1.
    """
    _check(em, n_draws=n_draws, exceedances=exceedances, n_init=n_init)
    seed = as_seed(random_state)
    search = _Search(em, n_init, seed)
    observed, _ = search.statistics([em.problem.rows], [0])
    if not observed.size:
        raise ValueError(
            f"Found no sound maximum of {em.n_components + 1} components (spikes alone): nothing to test."
        )
    drawn, failed = np.zeros(0), 0
    with progress_reporter(progress) as report:
        for first in range(1, n_draws + 1, TOGETHER):
            numbers = list(range(first, min(first + TOGETHER, n_draws + 1)))
            rows = [
                simulated_rows(em.mixture, em.observed.n_rows, np.random.default_rng([seed, i]))
                for i in numbers
            ]
            found, lost = search.statistics(rows, numbers)
            drawn, failed = np.concatenate([drawn, found]), failed + lost
            if report is not None:
                report("likelihood-ratio test", numbers[-1], n_draws)
            reached = np.flatnonzero(drawn >= observed[0])
            if reached.size >= exceedances:
                drawn = drawn[: reached[exceedances - 1] + 1]
                break
    return LikelihoodRatioTest(em, float(observed[0]), drawn, exceedances, failed)


@dataclasses.dataclass(frozen=True, eq=False)
class _Search:
    """How the two maxima of a data set are sought."""

    em: EMResult
    n_init: int
    seed: int

    def statistics(
        self, rows: list[NDArray[np.float64]], numbers: list[int]
    ) -> tuple[Float64[np.ndarray, " m"], int]:
        """``2 log ratio`` of data sets in standardised units, those without a sound maximum left out and counted."""
        starts = [self._starts(each, number) for each, number in zip(rows, numbers, strict=True)]
        small = self._maxima(rows, [self.em.draws] * len(rows))
        large = self._maxima(rows, starts)
        both = np.isfinite(small) & np.isfinite(large)
        return np.maximum(2.0 * (large - small)[both], 0.0), int(np.sum(~both))

    def _maxima(self, rows: list[NDArray[np.float64]], starts: list[Mixture]) -> NDArray[np.float64]:
        problem = self.em.problem
        sets = (DataSet(x, np.ones(len(x)), start) for x, start in zip(rows, starts, strict=True))
        found = refit_many(
            sets,
            None,
            em_settings(self.em.engine, problem),
            lambda mixtures: without_spikes(mixtures, problem, floor_of(self.em.engine, problem)),
        )
        return found.objective

    def _starts(self, rows: NDArray[np.float64], number: int) -> Mixture:
        """Mixtures (C, K + 1): partitions of the rows, and the fit with each of its components split."""
        rng = np.random.default_rng([self.seed, number, 1])
        mixture, k = self.em.mixture, self.em.n_components
        some = rows[rng.choice(len(rows), min(len(rows), starting.SAMPLE), replace=False)]
        labels = starting.start_labels(some, k + 1, self.n_init, rng)
        eta = jax.tree.map(np.asarray, mixture).natural().eta
        nearest = np.argmax(eta @ mixture.structure.features(some.T), axis=0)
        labels += [_split(some, nearest, j, k) for j in range(k)]
        return starting.mixtures_from_labels(mixture.structure, some, np.ones(len(some)), labels, k + 1)


def _split(rows: NDArray[np.float64], labels: NDArray[np.intp], j: int, new: int) -> NDArray[np.intp]:
    """A partition with cluster j cut at the median of its longest axis, the farther half numbered ``new``."""
    own = np.flatnonzero(labels == j)
    if own.size < 2:
        return labels
    centred = rows[own] - rows[own].mean(axis=0)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    out = labels.copy()
    out[own[along > np.median(along)]] = new
    return out


def _check(em: Any, **numbers: Any) -> None:
    if not isinstance(em, EMResult):
        raise TypeError(f"Expected em to be a fit by EM; got {type(em).__name__}.")
    if em.log_posterior is not None:
        raise ValueError("Expected a fit with EM(objective='likelihood'): the test compares maxima of it.")
    if not np.all(em.sample_weight == 1):
        raise ValueError(
            "Expected an EM fit without sample_weight: the test draws one row for each. Repeat rows instead."
        )
    if em.n_components >= em.observed.n_rows:
        raise ValueError(
            f"Expected fewer components than rows; {em.n_components + 1} cannot be fitted to {em.observed.n_rows} rows."
        )
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"Expected {name} to be an integer of at least 1; got {value!r}.")
