"""Expectation-maximisation: maximum likelihood and maximum a posteriori, restarts batched.

All restarts climb together as columns of the kernel's product. A column stops when Aitken's estimate of what
is left to gain (Boehning et al. 1994) falls below ``tol`` nats a row; it is then frozen while others go on.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bayesgmm.covariances import Array, Moments, PseudoMoments, Structure
from bayesgmm.float64 import in_float64
from bayesgmm.inference import start as starting
from bayesgmm.inference.degeneracy import SPIKE, fit_warnings, smallest_relative_variance
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.result import EMResult, Status
from bayesgmm.kernel import Rows, make_rows, statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

LEADERS = 3  # starts that go on from the sample to all rows
CHUNK = 64  # steps between two looks from the host
RELATIVE_FLOOR = 1e-8  # default reg_covar, of each feature's variance: sd 1e-4 of the data's
_RUNNING, _CONVERGED, _MAX_STEPS, _NON_FINITE = range(4)
_STATUS = {_CONVERGED: Status.CONVERGED, _MAX_STEPS: Status.MAX_STEPS, _NON_FINITE: Status.NON_FINITE}


@dataclasses.dataclass(frozen=True)
class EM:
    """The EM engine.

    Parameters
    ----------
    objective : "likelihood" (the prior is ignored) or "posterior" (conjugate priors: maximum a posteriori)
    n_init : number of starts; all climb in one batch
    tol : estimated remaining gain, in nats per row, at which a start stops
    max_steps : EM steps at most
    reg_covar : variance added to every diagonal in the M-step, in the data's units, as in scikit-learn.
        None adds 1e-8 of each feature's variance, which follows a change of units and moves no sound maximum.
    """

    objective: Literal["likelihood", "posterior"] = "likelihood"
    n_init: int = 10
    tol: float = 1e-7
    max_steps: int = 10_000
    reg_covar: float | None = None

    def __post_init__(self) -> None:
        if self.objective not in ("likelihood", "posterior"):
            raise ValueError(f"Expected objective 'likelihood' or 'posterior'; got {self.objective!r}.")
        for name, least in (("n_init", 1), ("max_steps", 0)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")
        if not (np.isfinite(self.tol) and self.tol >= 0):
            raise ValueError(f"Expected tol to be finite and at least 0; got {self.tol!r}.")
        if self.reg_covar is not None and not (np.isfinite(self.reg_covar) and self.reg_covar >= 0):
            raise ValueError(
                f"Expected reg_covar to be finite and at least 0, or None; got {self.reg_covar!r}."
            )

    def run(self, problem: Problem) -> EMResult:
        """Fit one problem (``bayesgmm.fit`` prepares it)."""
        return fit_many(problem, [problem.model], self)[0]


class _Climb(NamedTuple):
    """Where every column stands: parameters, their objective, the last gain, and how it ended."""

    mixture: Mixture
    objective: Array
    gain: Array
    status: Array
    n_steps: Array


class _Settings(NamedTuple):
    """Traced, so that other tolerances compile nothing."""

    regularisation: Array
    tol: Array
    max_steps: Array


def fit_many(problem: Problem, models: list[FiniteMixture], engine: EM) -> list[EMResult]:
    """Fit several models of one structure, of other numbers of components, as one batch.

    Models with fewer components than the largest have empty slots, so one compiled program serves them all.
    Only the likelihood objective allows different numbers of components.
    """
    began = time.perf_counter()
    structure = models[0].structure
    if engine.objective == "posterior" and not models[0].components.conjugate:
        models[0].pseudo_moments(problem.observed.n_features)  # says why not, before anything is traced
    slots = max(model.n_components for model in models)
    if engine.objective == "posterior" and len(models) > 1:
        raise ValueError("Expected one model a batch with objective='posterior'; fit them one by one.")
    prior = problem.standard_model(models[0]) if engine.objective == "posterior" else None
    settings = _settings(engine, problem)
    starts = [_starts(problem, model, slots, engine, prior, settings) for model in models]
    columns = [start.means.shape[0] for start in starts]
    start = jax.tree.map(lambda *leaves: np.concatenate(leaves), *starts)
    rows = make_rows(problem.rows, structure, problem.sample_weight)
    climb, history = _climb(structure, rows, start, prior, settings, problem.tell)
    seconds = time.perf_counter() - began
    bounds = [int(b) for b in np.cumsum([0, *columns])]
    return [
        _result(problem, model, engine, _columns(climb, a, b), history[:, a:b], seconds / len(models))
        for model, a, b in zip(models, bounds[:-1], bounds[1:], strict=True)
    ]


def _starts(
    problem: Problem, model: FiniteMixture, slots: int, engine: EM, prior, settings: _Settings
) -> Mixture:
    """Starting mixtures (C, slots) in standardised units."""
    if problem.start is not None:
        return jax.tree.map(lambda a: np.asarray(a)[None], problem.start_mixture())
    rng = np.random.default_rng([problem.seed, model.n_components])
    rows, weight = starting.sample_rows(problem.rows, problem.sample_weight, rng)
    labels = starting.start_labels(rows, model.n_components, engine.n_init, rng)
    start = starting.mixtures_from_labels(model.structure, rows, weight, labels, slots)
    if len(rows) == len(problem.rows) or len(labels) == 1:
        return start
    # Large data: every start climbs on the sample, and the leaders alone on all rows.
    climb, _ = _climb(
        model.structure, make_rows(rows, model.structure, weight), start, prior, settings, lambda *_: None
    )
    objective = np.where(climb.status == _NON_FINITE, -np.inf, climb.objective)
    sound = smallest_relative_variance(climb.mixture, problem) > SPIKE
    leaders = np.argsort(np.where(sound, -objective, np.inf), kind="stable")[:LEADERS]
    return jax.tree.map(lambda leaf: leaf[leaders], climb.mixture)


def _settings(engine: EM, problem: Problem) -> _Settings:
    scale = problem.standardisation.scale
    floor = np.full_like(scale, RELATIVE_FLOOR) if engine.reg_covar is None else engine.reg_covar / scale**2
    return _Settings(floor, np.asarray(float(engine.tol)), np.asarray(engine.max_steps))


@in_float64
def _climb(structure, rows, start, prior, settings, tell: Callable[[str, int, int], None]):
    """Chunks of steps until every column has stopped; the final state and the objective's history (T, C)."""
    c = start.means.shape[0]
    number, integer = start.means.dtype, jnp.result_type(int)
    # Types are given: a weak type would make the second chunk another program.
    state = _Climb(
        mixture=start,
        objective=jnp.full(c, -jnp.inf, number),
        gain=jnp.zeros(c, number),
        status=jnp.full(c, _RUNNING, integer),
        n_steps=jnp.zeros(c, integer),
    )
    history = []
    running = True
    while running:
        state, chunk = _advance(structure, rows, state, prior, settings)
        history.append(np.asarray(chunk))
        running = bool(np.any(state.status == _RUNNING))
        tell("EM", int(np.sum(state.status != _RUNNING)), c)
    return state, np.concatenate(history)


@eqx.filter_jit
def _advance(
    structure: Structure, rows: Rows, state: _Climb, prior, settings: _Settings
) -> tuple[_Climb, Array]:
    """At most CHUNK steps; stops early when all columns have stopped."""
    c = state.objective.shape[0]
    history = jnp.full((CHUNK, c), jnp.nan)

    def going(carry):
        i, state, _ = carry
        return (i < CHUNK) & jnp.any(state.status == _RUNNING)

    def body(carry):
        i, state, history = carry
        running = state.status == _RUNNING
        state = _step(structure, rows, state, prior, settings)
        return i + 1, state, history.at[i].set(jnp.where(running, state.objective, jnp.nan))

    _, state, history = lax.while_loop(going, body, (0, state, history))
    return state, history


def _step(structure: Structure, rows: Rows, state: _Climb, prior, settings: _Settings) -> _Climb:
    """Evaluate the objective at the current parameters; move on unless the column has stopped."""
    mixture = state.mixture
    values, objective = statistics(structure, mixture.natural(), rows)
    if prior is not None:
        objective = objective + jax.vmap(prior.log_prior)(mixture)
    gain = objective - state.objective
    status = _judge(state, objective, gain, rows.total_weight, settings)
    moved = maximisation(structure, values, rows, prior, settings.regularisation)
    running, was_running = status == _RUNNING, state.status == _RUNNING
    return _Climb(
        _where(running, moved, mixture),
        jnp.where(was_running, objective, state.objective),
        jnp.where(was_running, gain, state.gain),
        status,
        state.n_steps + running,
    )


def _judge(state: _Climb, objective: Array, gain: Array, total_weight: Array, settings: _Settings) -> Array:
    """Status of each column. A fall (regularisation is no part of the likelihood) is small or goes on."""
    noise = 4 * jnp.finfo(objective.dtype).eps * (jnp.abs(objective) + total_weight)
    target = settings.tol * total_weight
    rate = gain / jnp.where(state.gain > 0, state.gain, jnp.inf)
    remaining = jnp.where((rate > 0) & (rate < 1), gain * rate / (1 - rate), jnp.inf)
    small = jnp.where(gain < 0, -gain < target, remaining < target) | (jnp.abs(gain) <= noise)
    status = jnp.where(small & (state.n_steps > 1), _CONVERGED, _RUNNING)
    status = jnp.where((status == _RUNNING) & (state.n_steps >= settings.max_steps), _MAX_STEPS, status)
    status = jnp.where(jnp.isfinite(objective), status, _NON_FINITE)
    return jnp.where(state.status == _RUNNING, status, state.status)


def maximisation(
    structure: Structure, values: Array, rows: Rows, prior: FiniteMixture | None, regularisation: Array
):
    """The M-step: statistics (C, K, P), plus the conjugate prior's pseudo-statistics, to a mixture."""
    d = rows.blocks.shape[1]
    moments = structure.moments(values, rows.total, d)
    if prior is None:
        zero = jnp.zeros(())
        pseudo_counts, pseudo = zero, PseudoMoments(Moments(zero, zero, zero), zero)
    else:
        pseudo_counts, pseudo = prior.pseudo_moments(d)
    means, covariances = structure.maximise(moments, pseudo)
    counts = jnp.maximum(moments.counts + pseudo_counts, 0.0)
    log_weights = jnp.log(counts) - jnp.log(jnp.sum(counts, axis=-1, keepdims=True))
    return Mixture(structure, log_weights, means, structure.regularise(covariances, regularisation))


def _where(keep: Array, new: Mixture, old: Mixture) -> Mixture:
    def choose(a: Array, b: Array) -> Array:
        return jnp.where(keep.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, new, old)


def _columns(climb: _Climb, a: int, b: int) -> _Climb:
    return jax.tree.map(lambda leaf: leaf[a:b], climb)


def _result(problem, model: FiniteMixture, engine: EM, climb: _Climb, history: np.ndarray, seconds: float):
    """The best healthy column as a result, components by decreasing weight, with what went wrong in words."""
    objective = np.where(climb.status == _NON_FINITE, -np.inf, climb.objective)
    if not np.any(np.isfinite(objective)):
        raise FloatingPointError(Status.NON_FINITE.value)
    smallest = smallest_relative_variance(climb.mixture, problem)
    healthy = np.isfinite(objective) & (smallest > SPIKE)
    best = int(np.argmax(np.where(healthy, objective, -np.inf) if healthy.any() else objective))
    mixture = _sorted(jax.tree.map(lambda leaf: leaf[best], climb.mixture), model.n_components)
    own = history[:, best]
    status = _STATUS[int(climb.status[best])]
    likelihood, posterior = problem.in_user_units(mixture, climb.objective[best], engine.objective)
    units = (likelihood if posterior is None else posterior) - climb.objective[best]
    return EMResult(
        observed=problem.observed,
        model=model,
        engine=engine,
        mixture=mixture,
        standardisation=problem.standardisation,
        sample_weight=problem.sample_weight,
        log_likelihood=float(likelihood),
        log_posterior=None if posterior is None else float(posterior),
        n_steps=int(climb.n_steps[best]),
        status=status,
        history=own[np.isfinite(own)] + units,
        restarts=objective + units,
        warnings=fit_warnings(status, mixture, problem, spike=not healthy[best]),
        seconds=seconds,
    )


def _sorted(mixture: Mixture, n_components: int) -> Mixture:
    """Components by decreasing weight, empty slots beyond the model's number dropped."""
    return mixture.permute(np.argsort(-mixture.log_weights, kind="stable")[:n_components])
