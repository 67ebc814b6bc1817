"""Modes looked for rather than assumed away: where they are, how much each weighs, and which chains begin where.

Candidates are the distinct best optima of EM, and the best fit with one component emptied. Newton takes each to a
mode of the posterior itself; distinct optima of EM are often one. A mode's weight is Laplace's.
"""

from __future__ import annotations

import itertools

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesgmm.inference.em.degeneracy import floor_of, without_spikes
from bayesgmm.inference.em.em import EM, fit_columns
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.gradient.empty_component import Emptied, labels_without_each
from bayesgmm.inference.gradient.target import BATCH, Target, gradients, mixtures
from bayesgmm.inference.gradient.warm_start import Mode, find_mode
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.start import mixtures_from_labels
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.few_rows import log_joint

MOST = 3  # optima beside the best from which Newton starts
MARGIN = (
    100.0  # nats below the best beyond which no candidate is worth Newton's steps: volumes differ by far less
)
SAME = 1e-3  # nats by which the same optimum, or mode, may differ between two runs
ALIKE = 1.0  # summed squared difference of log densities below which equally high ones are one, up to labels
ROWS = 1000  # at which densities are compared, at least, where there are as many
VISITED = 0.01  # Laplace weight from which a mode gets a chain of its own
WORTH_A_WORD = 1e-3  # Laplace weight, of modes without a chain, that is told


def em_starts(problem: Problem) -> tuple[EMResult, Mixture]:
    """The EM fit to begin from (the caller's, if it is one), and other optima (C, K) in standardised units.

    The fit is of the same posterior where the prior is conjugate.
    """
    problem = problem.for_em()
    conjugate = problem.model.components.conjugate
    engine = EM(objective="posterior") if conjugate else EM(objective="likelihood")
    given = problem.start
    if isinstance(given, EMResult) and given.covariance_type == problem.model.covariance_type:
        problem.start_mixture()  # checks that it fits the model
        start, engine = given, EM(objective=given.engine.objective, moves=0)
    else:
        start = None if given is None else _fit(problem, engine)[0]
    own, others = _fit(problem.without_start(), engine)
    return start or own, others


def _fit(problem: Problem, engine: EM) -> tuple[EMResult, Mixture]:
    """An EM fit, and its other healthy optima by decreasing objective."""
    ((result, final),) = fit_columns(problem, [problem.model], engine)
    objective = np.where(np.isfinite(final.objective), final.objective, -np.inf)
    healthy = np.isfinite(objective) & without_spikes(final.mixture, problem, floor_of(engine, problem))
    order = [int(c) for c in np.argsort(-objective, kind="stable") if healthy[c]]
    met = _Met(problem)
    apart = (c for c in order if met.is_new(objective[c], final.mixture.at_draws(np.array([c]))))
    return result, final.mixture.at_draws(np.array(list(itertools.islice(apart, MOST + 1)), int))


class _Met:
    """Optima or modes met so far: what is as high and as dense at the rows is the same one, up to labels."""

    def __init__(self, problem: Problem) -> None:
        self.n = len(problem.rows)
        self.rows = problem.rows[:: max(1, self.n // ROWS)]
        self.places: list[tuple[float, NDArray[np.float64]]] = []

    def is_new(self, height: float, mixture: Mixture) -> bool:
        """Whether a mixture (1, K) of this height, in nats, was not met before; now it is."""
        density = logsumexp(log_joint(mixture, self.rows), axis=1)[0]
        known = any(
            abs(height - other) <= SAME and self.n * np.mean((density - theirs) ** 2) < ALIKE
            for other, theirs in self.places
        )
        self.places.append((height, density))
        return not known


def emptied(problem: Problem, fit: Mixture) -> Mixture:
    """The fit (K,) with each component in turn emptied (K, K): its rows go to the others, it keeps one row's weight."""
    labels, k = labels_without_each(problem, fit), fit.means.shape[0]
    out = mixtures_from_labels(fit.structure, problem.rows, np.ones(len(problem.rows)), labels, k)
    log_weights = np.where(np.isfinite(out.log_weights), out.log_weights, -np.log(len(problem.rows)))
    return Mixture(fit.structure, log_weights, out.means, out.covariances)


def find_modes(problem: Problem, target: Target, fit: Mixture, others: Mixture) -> list[Mode]:
    """Distinct modes, that of the EM fit and those near other candidates, by decreasing weight."""

    def is_new(mode: Mode) -> bool:
        return met.is_new(mode.potential, mixtures(target, mode.theta[None]))

    best, met = find_mode(target, target.theta_of(fit)), _Met(problem)
    found = [mode for mode in (best,) if is_new(mode)]
    if problem.model.n_components > 1:
        for candidates, most in ((others, MOST), (emptied(problem, fit), 1)):
            for point in _worth_trying(target, candidates, best, most):
                mode = find_mode(target, point)
                if mode.definite and is_new(mode):
                    found.append(mode)
    return sorted(found, key=lambda mode: -mode.log_mass)


def _worth_trying(target: Target, candidates: Mixture, best: Mode, most: int) -> list[NDArray]:
    """Unconstrained coordinates of the best few candidates that are not hopeless."""
    count = min(len(candidates.means), BATCH)
    if count == 0:
        return []
    candidates = jax.tree.map(np.asarray, candidates)  # JAX would compile the taking of a part
    points = np.stack([target.theta_of(candidates.at_draws(np.intp(c))) for c in range(count)])
    potential, _ = gradients(target, points)
    order = [c for c in np.argsort(potential) if potential[c] < best.potential + MARGIN]
    return [points[c] for c in order[:most]]


def weights_of(modes: list[Mode]) -> NDArray[np.float64]:
    """Laplace weights, which sum to one."""
    mass = np.array([mode.log_mass for mode in modes])
    mass = np.exp(mass - mass.max())
    return mass / mass.sum()


def shares_of_emptied(modes: list[Mode], emptied: list[Emptied]) -> NDArray[np.float64]:
    """Posterior shares of the regions with empty components beside the modes, by Laplace's method."""
    log_mass = np.array([region.log_mass for region in emptied])
    return np.exp(log_mass - np.logaddexp.reduce([*log_mass, *(mode.log_mass for mode in modes)]))


def allot(weights: NDArray[np.float64], n_chains: int) -> NDArray[np.intp]:
    """The mode (C,) in which each chain begins: every mode of some weight gets one chain, the heaviest the rest."""
    visited = np.flatnonzero(weights >= VISITED)[1 : 1 + n_chains // 2]
    return np.concatenate([np.zeros(n_chains - len(visited), np.intp), visited])


def words_on_unvisited(modes: list[Mode], began: NDArray[np.intp]) -> tuple[str, ...]:
    """Words on modes of some weight in which no chain begins."""
    left = np.delete(weights_of(modes), np.unique(began))
    if left.sum() < WORTH_A_WORD:
        return ()
    return (
        f"No chain began in {len(left)} further mode{'s' * (len(left) > 1)}, of Laplace weight {left.sum():.3g} in "
        "all: what is said here leaves that much out, unless chains went there by themselves.",
    )


def words_on_emptied(share: float) -> tuple[str, ...]:
    """Words on the region where a component is empty, which chains reach and leave rarely."""
    if share < VISITED:
        return ()
    return (
        f"A component may be empty: in the posterior that has a share of about {share:.2g}, by Laplace's method. No "
        "chain began there, and chains may seldom go there or back, so these draws do not tell that share. Let "
        "models.mixture_of_finite_mixtures() with Gibbs() weigh the numbers, or set a fit of one component fewer "
        "beside this one.",
    )
