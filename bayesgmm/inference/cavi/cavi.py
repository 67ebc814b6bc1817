"""Coordinate-ascent variational inference: the conjugate mixture by closed forms, on the exact ELBO.

Starts climb together (:mod:`bayesgmm.inference.cavi.ascent`), then moves change the number of clusters where that
raises the ELBO (:mod:`bayesgmm.inference.cavi.search`). On large data the search runs on a sample first.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from bayesgmm.covariances import Natural
from bayesgmm.inference import start as starting
from bayesgmm.inference.cavi.proposals import occupied
from bayesgmm.inference.cavi.search import Place, Task, one_lap, search
from bayesgmm.inference.cavi.starts import first_factor, first_naturals, found_naturals
from bayesgmm.inference.cavi.state import CONVERGED, INTERRUPTED
from bayesgmm.inference.em.result import Status
from bayesgmm.inference.problem import Problem
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.variational import Factors, VariationalPosterior, plug_in
from bayesgmm.row_blocks import Rows, make_rows

TOGETHER = 8  # columns of one program: few sizes, so that few are compiled
STARTS_TOGETHER = 16  # where no moves follow
ENDS = {CONVERGED: Status.CONVERGED, INTERRUPTED: Status.INTERRUPTED}
SAMPLE_TOL = 1e-6  # nats a row, of the search on a sample


@dataclasses.dataclass(frozen=True)
class CAVI:
    """Variational inference by coordinate ascent (Blei & Jordan 2006; Bishop 2006, section 10.2).

    For normal-inverse-Wishart components and finite, sparse, Dirichlet-process (fixed or Gamma concentration) and
    Pitman-Yor weights; takes row weights. The result is one optimum: fast, its spread too narrow, its number of
    clusters a point. Ctrl-C keeps the best state found by then, with status ``INTERRUPTED``.

    Parameters
    ----------
    n_init : number of starts, which climb in one batch; ignored where a start is given
    tol : estimated remaining gain, in nats per row, at which a column stops
    max_steps : passes over the rows at most, for each column
    moves : how many rounds of moves (merge, delete, split) may bring nothing before the search ends. 0 keeps to the
        starts alone, slots in their order
    accelerate : leap along slow directions (Anderson, never downhill); False, with ``moves=0``, is the textbook
        algorithm, step by step
    num_samples : draws of the variational posterior that the result's tables, plots and criteria use
    """

    n_init: int = 8
    tol: float = 1e-9
    max_steps: int = 5000
    moves: int = 2
    accelerate: bool = True
    num_samples: int = 1000

    def __post_init__(self) -> None:
        for name, least in (("n_init", 1), ("max_steps", 1), ("moves", 0), ("num_samples", 20)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")
        if not isinstance(self.accelerate, bool | np.bool_):
            raise ValueError(f"Expected accelerate to be True or False; got {self.accelerate!r}.")
        number = isinstance(self.tol, int | float | np.number) and not isinstance(self.tol, bool)
        if not (number and np.isfinite(self.tol) and self.tol >= 0):
            raise ValueError(f"Expected tol to be a finite number of at least 0; got {self.tol!r}.")

    def run(self, problem: Problem) -> VariationalPosterior:
        """Fit one problem (``bayesgmm.fit`` prepares it)."""
        problem.model.components.check_cavi()
        problem.model.weights.check_cavi()
        began = time.perf_counter()
        model, rng = (
            problem.standard_model(),
            np.random.default_rng([problem.seed, problem.model.n_components]),
        )
        most = starting.sample_size(model, problem.observed.n_features)
        sample = problem.sample_rows(most, rng)
        start, names, interrupted = self._start(problem, model, sample, rng)
        affine = problem.standardisation.shift, problem.standardisation.scale
        rows = make_rows(
            problem.observed.rows, model.structure, problem.sample_weight, affine=affine, spread=True
        )
        task = self._task(problem, model, rows, self.tol, len(start.eta))
        place = search(task, start, sample[0], self.moves, rng) if not interrupted else one_lap(task, start)
        return self._result(problem, model, rows, place, names, time.perf_counter() - began)

    def _task(self, problem: Problem, model: FiniteMixture, rows: Rows, tol: float, n_starts: int) -> Task:
        together = TOGETHER if self.moves else min(n_starts, STARTS_TOGETHER)
        factor = first_factor(problem, model)
        limits = tol, self.max_steps, self.moves > 0, self.accelerate
        return Task(model, rows, factor, *limits, together, problem.tell)

    def _start(
        self, problem: Problem, model: FiniteMixture, sample: Any, rng: np.random.Generator
    ) -> tuple[Natural, tuple[str, ...], bool]:
        """Natural parameters of the first passes over all rows: the caller's, from partitions, or from a sample.

        With them the moves made on the sample, and whether the search there was interrupted.
        """
        if problem.start is not None:
            return first_naturals(problem, model), (), False
        found = found_naturals(model, *sample, self.n_init, rng)
        if len(sample[0]) == np.count_nonzero(problem.sample_weight):
            return found, (), False
        rows = make_rows(sample[0], model.structure, sample[1], spread=True)
        task = self._task(problem, model, rows, SAMPLE_TOL, len(found.eta))._replace(phase="CAVI: sample")
        place = search(task, found, sample[0], self.moves, rng)
        factors = Factors(model, place.state.values, rows.total, place.state.factor)
        mixture = plug_in(factors, sample[0].shape[1])
        used = np.zeros(model.n_components, bool)
        used[occupied(place.state.values)] = True
        with np.errstate(invalid="ignore"):  # an absent slot has log weight -inf
            natural = dataclasses.replace(
                mixture, log_weights=np.where(used, mixture.log_weights, -np.inf)
            ).natural()
        interrupted = bool(place.state.status == INTERRUPTED)
        return jax.tree.map(lambda leaf: leaf[None], natural), place.moves, interrupted

    def _result(
        self,
        problem: Problem,
        model: FiniteMixture,
        rows: Rows,
        place: Place,
        sampled_moves: tuple[str, ...],
        seconds: float,
    ) -> VariationalPosterior:
        state = place.state
        order = _by_weight(model, state.values[:, 0], state.factor)
        values = state.values[order]
        status = ENDS.get(int(state.status), Status.MAX_STEPS)
        return VariationalPosterior(
            problem=dataclasses.replace(problem, start=None, progress=None),
            engine=self,
            factors=Factors(model, values, np.asarray(rows.total), state.factor),
            elbo=float(state.elbo) - problem.log_jacobian,
            history=np.array(place.history) - problem.log_jacobian,
            restarts=place.ends - problem.log_jacobian,
            status=status,
            n_steps=len(place.history),
            moves=(*sampled_moves, *place.moves),
            seconds={"CAVI": seconds},
        )


def _by_weight(model: FiniteMixture, counts: Any, factor: Any) -> Any:
    """Slots by decreasing counts where their order means nothing, else as they are."""
    if model.weights.preferred_order(counts) is not None:
        return np.arange(len(counts))
    return np.argsort(-counts, kind="stable")
