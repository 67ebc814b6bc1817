"""Where Gibbs chains begin: one at the EM fit, the others far from it and from one another."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Array
from bayesgmm.inference.em.em import EM, fit_many
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.start import mixtures_from_labels, random_centres
from bayesgmm.models import FiniteMixture, finite_mixture

MOST_TRIED = 5  # components tried by EM where their number is not given
RESTARTS = 5


def em_start(problem: Problem) -> EMResult:
    """The caller's EM fit if it has no more components than the model has slots, or one of our own.

    Where the number of components is the model's own, EM climbs the posterior under a conjugate prior (which has no
    spikes); where slots are to spare, the likelihood for a few numbers, and BIC chooses.
    """
    model, given = problem.model, problem.start
    if isinstance(given, EMResult) and given.n_components <= model.n_components:
        return given
    if not model.weights.overfits:
        return _fit(problem, model.n_components)
    most = min(MOST_TRIED, model.n_components, problem.observed.n_rows)
    candidates = [finite_mixture(k, model.structure) for k in range(1, most + 1)]
    free = dataclasses.replace(problem, start=None)
    return min(fit_many(free, candidates, EM(n_init=RESTARTS, moves=0)), key=lambda fit: fit.bic)


def _fit(problem: Problem, n_components: int) -> EMResult:
    conjugate = finite_mixture(n_components, problem.model.structure)
    if problem.model.components.conjugate:
        conjugate = problem.model
    else:
        conjugate = conjugate.resolve(problem.observed.rows, problem.sample_weight)
    own = dataclasses.replace(problem, model=conjugate).for_em()
    return fit_many(own, [own.model], EM(objective="posterior", n_init=RESTARTS, moves=0))[0]


def starting_labels(problem: Problem, start: EMResult, n_chains: int) -> NDArray[np.intp]:
    """Allocations (C, N) to begin with: the EM fit's for the first chain, random ones for the others.

    Those deal every row to the nearest of some rows taken at random, so that they are spread out, yet never hopeless.
    Where the number is fixed, in turn all components are used, or all but one. Where slots are to spare, two to three
    times as many as the EM fit has: a chain empties a component that it does not need in a few sweeps, but finds one
    that it lacks only by luck.
    """
    rng = np.random.default_rng([problem.seed, 3])
    slots, n = problem.model.n_components, len(problem.rows)
    labels = [start.predict(problem.observed)]
    for chain in range(1, n_chains):
        spare = (2 + chain % 2) * start.n_components + 1
        wanted = spare if problem.model.weights.overfits else slots - (chain + 1) % 2
        labels.append(random_centres(problem.rows, max(1, min(wanted, slots, n // 2)), rng))
    return np.stack(labels)


def first_states(model: FiniteMixture, rows: NDArray[np.float64], labels: NDArray[np.intp]) -> ChainState:
    """Chains at the (shrunk) estimates of given allocations (C, N), hyperparameters at the middle of their priors."""
    mixture = mixtures_from_labels(
        model.structure, rows, np.ones(len(rows)), list(labels), model.n_components
    )

    def repeated(state: dict[str, Array]) -> dict[str, Array]:
        return {
            name: np.repeat(np.asarray(value)[None], len(labels), axis=0) for name, value in state.items()
        }

    components = model.components.initial_state(model.structure, rows.shape[1])
    return ChainState(mixture, repeated(model.weights.initial_state()), repeated(components))
