"""Expectation-maximisation: maximum likelihood and maximum a posteriori, restarts batched.

Starts come from :mod:`bayesgmm.inference.start` and climb together (:mod:`bayesgmm.inference.em.climb`), on large
data a sample first (:mod:`bayesgmm.inference.em.screen`); a start stops when the estimate of what is left to gain
falls below ``tol`` nats a row. Then moves (:mod:`bayesgmm.inference.em.moves`) look for a better place than
the best of them.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import Literal

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference import start as starting
from bayesgmm.inference.em.climb import Climber, Stopped, columns_of, is_interrupted
from bayesgmm.inference.em.degeneracy import degeneracy_warnings, floor_of, without_spikes
from bayesgmm.inference.em.moves import with_moves
from bayesgmm.inference.em.polish import SAME, polished
from bayesgmm.inference.em.result import EMResult, Status
from bayesgmm.inference.em.screen import screened
from bayesgmm.inference.em.steps import (
    CONVERGED,
    INTERRUPTED,
    MAX_STEPS,
    NON_FINITE,
    RETIRED,
    Climb,
    Settings,
    initial,
)
from bayesgmm.inference.problem import Problem
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows, make_rows

SEASONED = 8  # steps before a start that has climbed a sample may be retired
NO_MODE = (
    "no start gave a finite posterior density: below a concentration of 1 it is infinite where a component is empty; "
    "give the weights a concentration of at least 1, use EM(objective='likelihood'), or sample the posterior"
)
STATUS = {
    CONVERGED: Status.CONVERGED,
    MAX_STEPS: Status.MAX_STEPS,
    NON_FINITE: Status.NON_FINITE,
    INTERRUPTED: Status.INTERRUPTED,
}


@dataclasses.dataclass(frozen=True)
class EM:
    """The EM engine.

    Ctrl-C, once starts have climbed, keeps the best of them, with status ``INTERRUPTED``.

    Parameters
    ----------
    objective : "likelihood" (the prior is ignored) or "posterior" (conjugate priors: maximum a posteriori)
    n_init : number of starts; all climb in one batch
    tol : estimated remaining gain, in nats per row, at which a start stops
    moves : how many rounds of moves from the best fit (two components merged and a third split, or all shaken) may
        bring nothing before the search ends; 0 for the starts alone
    max_steps : EM steps at most
    reg_covar : variance added to every diagonal in the M-step, in the data's units, as in scikit-learn.
        None adds 1e-8 of each feature's variance, which follows a change of units, and next to nothing in the last
        steps where that could be seen.
    accelerate : leap along slow directions (Anderson, never downhill); False is EM to the letter, step by step
    """

    objective: Literal["likelihood", "posterior"] = "likelihood"
    n_init: int = 20
    moves: int = 6
    tol: float = 1e-9
    max_steps: int = 10_000
    reg_covar: float | None = None
    accelerate: bool = True

    def __post_init__(self) -> None:
        if self.objective not in ("likelihood", "posterior"):
            raise ValueError(f"Expected objective 'likelihood' or 'posterior'; got {self.objective!r}.")
        for name, least in (("n_init", 1), ("moves", 0), ("max_steps", 0)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")
        for name, value in (
            ("tol", self.tol),
            ("reg_covar", 0.0 if self.reg_covar is None else self.reg_covar),
        ):
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not is_number or not (np.isfinite(value) and value >= 0):
                raise ValueError(f"Expected {name} to be a finite number of at least 0; got {value!r}.")
        if not isinstance(self.accelerate, bool):
            raise TypeError(f"Expected accelerate to be True or False; got {self.accelerate!r}.")

    def run(self, problem: Problem) -> EMResult:
        """Fit one problem (``bayesgmm.fit`` prepares it)."""
        return _fit(problem, [problem.model], self)[0][0]


def fit_many(problem: Problem, models: list[FiniteMixture], engine: EM) -> list[EMResult]:
    """Fit several models of one structure, of other numbers of components, as one batch, for those who build on them.

    Models with fewer components than the largest have empty slots, so one compiled program serves them all.
    Only the likelihood objective allows different numbers of components. Ctrl-C is raised.
    """
    return [result for result, _ in fit_columns(problem, models, engine)]


def fit_columns(problem: Problem, models: list[FiniteMixture], engine: EM) -> list[tuple[EMResult, Climb]]:
    """:func:`fit_many`, each fit with where all of its starts ended."""
    fits = _fit(problem, models, engine)
    if any(result.status is Status.INTERRUPTED for result, _ in fits):
        raise KeyboardInterrupt
    return fits


def _fit(problem: Problem, models: list[FiniteMixture], engine: EM) -> list[tuple[EMResult, Climb]]:
    began = time.perf_counter()
    structure, prior = models[0].structure, _prior(problem, models, engine)
    slots = max(model.n_components for model in models)
    settings = em_settings(engine, problem)

    def sound(mixtures: Mixture) -> NDArray[np.bool_]:
        return without_spikes(mixtures, problem, settings.regularisation)

    climber = Climber(structure, prior, settings, sound, problem.tell)
    affine = problem.standardisation.shift, problem.standardisation.scale
    rows = make_rows(problem.observed.rows, structure, problem.sample_weight, affine=affine, spread=True)
    small = _is_small(problem, models[-1])
    try:
        starts = [_starts(problem, model, slots, engine, rows, climber) for model in models]
        bounds = [int(b) for b in np.cumsum([0, *(start.objective.size for start in starts)])]
        races = [slice(a, b) for a, b in itertools.pairwise(bounds)]
        start = jax.tree.map(lambda *leaves: np.concatenate(leaves), *starts)
        seasoned = climber if small else climber.with_settings(trial=SEASONED)
        final, history = seasoned.climb(rows, start, races)
    except Stopped as stopped:
        if len(models) > 1:
            raise
        final, history, races = stopped.state, stopped.history, [slice(None)]
    ends = [(columns_of(final, race), history[race]) for race in races]
    if problem.start is None and small and not is_interrupted(final):
        ends = [
            with_moves(climber, *end, rows, problem.rows, engine.moves, _rng(problem, model))
            for end, model in zip(ends, models, strict=True)
        ]
    if engine.reg_covar is None:
        ends = [polished(climber, *end, rows) for end in ends]
    seconds = time.perf_counter() - began
    return [
        (_result(problem, model, engine, *end, seconds / len(models)), end[0])
        for model, end in zip(models, ends, strict=True)
    ]


def _prior(problem: Problem, models: list[FiniteMixture], engine: EM) -> FiniteMixture | None:
    """What is believed of standardised rows, where the posterior is climbed; refused before anything is traced."""
    if engine.objective == "likelihood":
        return None
    if len(models) > 1:
        raise ValueError("Expected one model a batch with objective='posterior'; fit them one by one.")
    if not models[0].components.conjugate:
        models[0].pseudo_moments(problem.observed.n_features)  # says why not
    return problem.standard_model(models[0])


def _starts(
    problem: Problem, model: FiniteMixture, slots: int, engine: EM, rows: Rows, climber: Climber
) -> Climb:
    """Where columns (C, slots) start, in standardised units."""
    d = problem.observed.n_features
    n_statistics = model.structure.features(np.zeros((d, 1))).shape[0]
    if problem.start is not None:
        return initial(jax.tree.map(lambda a: np.asarray(a)[None], problem.start_mixture()), n_statistics)
    rng, small = _rng(problem, model), _is_small(problem, model)
    sample = problem.sample_rows(starting.sample_size(model, d), rng)
    few = sample if small else starting.thinned(*sample, starting.enough_rows(model, d))
    trees = starting.Trees(few[0], thinned=not small)
    labels = starting.start_labels(few[0], model.n_components, engine.n_init, rng, trees)
    start = starting.mixtures_from_labels(model.structure, *few, labels, slots)
    if small or model.n_components == 1:
        return initial(start, n_statistics)
    return screened(model, start, sample, rows, climber, engine.moves, rng)


def _is_small(problem: Problem, model: FiniteMixture) -> bool:
    """Whether starts climb on all rows at once."""
    most = starting.sample_size(model, problem.observed.n_features)
    return int(np.count_nonzero(problem.sample_weight)) <= most


def _rng(problem: Problem, model: FiniteMixture) -> np.random.Generator:
    return np.random.default_rng([problem.seed, model.n_components])


def em_settings(engine: EM, problem: Problem) -> Settings:
    """What the climb is told, in standardised units."""
    return Settings(
        floor_of(engine, problem),
        np.asarray(float(engine.tol)),
        np.asarray(engine.max_steps),
        np.asarray(engine.accelerate),
    )


def _result(
    problem: Problem, model: FiniteMixture, engine: EM, final: Climb, history: list, seconds: float
) -> EMResult:
    """The best healthy column as a result, components by decreasing weight, with what went wrong in words."""
    objective = np.where(final.status == NON_FINITE, -np.inf, final.objective)
    ended = (
        final.status != RETIRED
    )  # one that was retired may be a rounding higher than what it was retired for
    if not np.any(np.isfinite(objective)):
        raise FloatingPointError(NO_MODE if engine.objective == "posterior" else Status.NON_FINITE.value)
    floor = floor_of(engine, problem)
    healthy = ended & np.isfinite(objective) & without_spikes(final.mixture, problem, floor)
    eligible = np.where(healthy if healthy.any() else ended, objective, -np.inf)
    # The first of those that are one to rounding, so that rounding does not choose the order of the components.
    best = int(np.argmax(eligible >= eligible.max() - SAME * problem.sample_weight.sum()))
    mixture = _sorted(jax.tree.map(lambda leaf: leaf[best], final.mixture), model.n_components)
    status = STATUS[int(final.status[best])]
    likelihood, posterior = problem.in_user_units(mixture, final.objective[best], engine.objective)
    units = (likelihood if posterior is None else posterior) - final.objective[best]
    return EMResult(
        observed=problem.observed,
        model=model,
        engine=engine,
        mixture=mixture,
        standardisation=problem.standardisation,
        sample_weight=problem.sample_weight,
        log_likelihood=float(likelihood),
        log_posterior=None if posterior is None else float(posterior),
        n_steps=int(final.n_steps[best]),
        status=status,
        history=np.array(history[best]) + units,
        restarts=objective + units,
        set_aside=int(np.sum(ended & ~healthy & (objective > objective[best]))),
        degeneracies=degeneracy_warnings(mixture, problem, floor),
        seconds=seconds,
        seed=problem.seed,
    )


def _sorted(mixture: Mixture, n_components: int) -> Mixture:
    """Components by decreasing weight, empty slots beyond the model's number dropped."""
    return mixture.permute(np.argsort(-mixture.log_weights, kind="stable")[:n_components])
