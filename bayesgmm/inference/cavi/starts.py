"""Where coordinate ascent begins: natural parameters of the first pass, from labels, from a mixture, or found."""

from __future__ import annotations

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Array, Natural
from bayesgmm.inference.cavi.lap import naturals
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.start import Trees, labels_to_one_hot, start_labels
from bayesgmm.models import FiniteMixture

PIECE = 65_536  # rows whose features are held at once


def first_naturals(problem: Problem, model: FiniteMixture) -> Natural:
    """The caller's start, as natural parameters (1, K, P) of the first pass over standardised rows.

    Labels become the best q given certain allocations. Of a mixture (a result's, say) the responsibilities are taken;
    it may have fewer components than the model has slots. CAVI's own result of the same rows goes on where it ended.
    """
    if _ended_here(problem):
        factors, d = problem.start.factors, problem.observed.n_features
        return naturals(model, factors.total, factors.values[None], first_factor(problem, model), d)
    if problem.starts_from_labels:
        return naturals_of_labels(model, problem.rows, problem.sample_weight, [problem.start_labels()])
    with np.errstate(invalid="ignore"):  # an absent slot has log weight -inf
        natural = problem.start_mixture(spare=True).natural()
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], natural)


def first_factor(problem: Problem, model: FiniteMixture) -> dict[str, Array]:
    """q of the weights' hyperparameters to begin with: that of the caller's start, where it goes on from there."""
    own = model.weights.first_factor()
    if not _ended_here(problem):
        return own
    return {name: problem.start.factors.hyper.get(name, value) for name, value in own.items()}


def _ended_here(problem: Problem) -> bool:
    """Whether the caller's start has expected statistics in this problem's own units and slots."""
    factors, model = getattr(problem.start, "factors", None), problem.model
    if factors is None or (factors.model.structure, len(factors.values)) != (
        model.structure,
        model.n_components,
    ):
        return False
    then, now = problem.start.standardisation, problem.standardisation
    return np.array_equal(then.shift, now.shift) and np.array_equal(then.scale, now.scale)


def found_naturals(
    model: FiniteMixture,
    rows: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    n_init: int,
    rng: np.random.Generator,
) -> Natural:
    """Natural parameters (C, K, P) of starts from partitions of the rows, as EM's.

    Where slots are to spare the partitions have, in turn, as many clusters as there are slots, half as many, and so on.
    """
    numbers = _numbers(model, len(rows))
    chosen = [numbers[i % len(numbers)] for i in range(n_init)]
    trees = Trees(rows)
    labels = [
        each
        for number in dict.fromkeys(chosen)
        for each in start_labels(rows, number, chosen.count(number), rng, trees)[: chosen.count(number)]
    ]
    return naturals_of_labels(model, rows, sample_weight, labels)


def _numbers(model: FiniteMixture, n_rows: int) -> list[int]:
    number = min(model.n_components, n_rows)
    if not model.weights.overfits:
        return [number]
    return [number >> i for i in range(number.bit_length())]


def naturals_of_labels(
    model: FiniteMixture,
    rows: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    labels: list[NDArray[np.intp]],
) -> Natural:
    """Expected natural parameters (C, K, P) given certain allocations of the rows."""
    structure, (n, d) = model.structure, rows.shape
    values, total = 0.0, 0.0
    for first in range(0, n, PIECE):
        part = slice(first, first + PIECE)
        x = np.ascontiguousarray(rows[part].T)
        weighted = np.stack([labels_to_one_hot(each[part], model.n_components) for each in labels])
        values = values + (weighted * sample_weight[part]) @ structure.features(x).T
        total = total + structure.shared_features(x) @ sample_weight[part]
    return naturals(model, np.asarray(total), values, model.weights.first_factor(), d)
