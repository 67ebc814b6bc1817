"""Stochastic variational inference by NumPyro, begun at EM's optimum and Laplace's scale."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayesgmm.float64 import in_float64, to_device
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.gradient.target import Target
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.svi.elbo import WeightedDraws
from bayesgmm.inference.svi.guides import find_guide
from bayesgmm.inference.svi.laplace import anchor, em_fit, laplace, start_mixture
from bayesgmm.inference.svi.steps import CHUNK, Recipe, Task, advance, check_optimizer, draw, first_state
from bayesgmm.inference.svi.words import describe
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.guide import GuidePosterior
from bayesgmm.posterior.pareto import smooth
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.row_blocks import make_rows

RATES = (0.02, 0.005, 0.001)  # of Adam, in posterior standard deviations a step; lowered when the ELBO stalls
PATIENCE = 3  # chunks without a better ELBO until the rate is lowered
CANDIDATES = 5  # draws of the guide for every corrected one


class SVIStatus(enum.Enum):
    """How a fit ended; the value is the message, with the remedy in it."""

    CONVERGED = "converged: the smoothed ELBO no longer rises"
    MAX_STEPS = "stopped at num_steps while the ELBO still rose: raise num_steps or loosen tol"
    INTERRUPTED = "interrupted: the best state until then is kept"
    NOT_FITTED = "at the Laplace approximation: there is nothing to fit"
    NON_FINITE = (
        "the ELBO was never finite, and the guide is where it began: use guide='laplace', or an "
        "optimizer with shorter steps"
    )

    @property
    def ok(self) -> bool:
        return self in (SVIStatus.CONVERGED, SVIStatus.NOT_FITTED)


@dataclasses.dataclass(frozen=True)
class SVI:
    """Stochastic variational inference (Hoffman et al. 2013; Kucukelbir et al. 2017), NumPyro's, on the same program.

    A family of distributions, the guide, is fitted to the posterior of the model's unconstrained parameters by
    ascending the evidence lower bound. It begins where EM ended, with the spread of Laplace's approximation. The
    result is one mode and one labelling; k-hat of the importance weights says how good it is there
    (``posterior.diagnostics()``).

    Parameters
    ----------
    guide : "multivariate_normal"; "normal" (independent parameters), "low_rank", "laplace" (no fitting), "flow" (an
        inverse autoregressive flow); a class of NumPyro's automatic guides, an instance of one, or a guide function
        of the (standardised) rows for the program's sites
    optimizer : of optax or of NumPyro; None is Adam, whose rate is lowered whenever the ELBO stalls
    num_steps : at most
    batch_size : rows a step, drawn at random; None takes all
    num_samples : draws of the fitted guide that make the result
    num_particles : draws of the guide a step
    tol : nats by which the mean ELBO of 100 steps must rise to count as rising
    corrected : importance-resample the draws by Pareto-smoothed weights, from five times as many
    """

    guide: Any = "multivariate_normal"
    optimizer: Any = None
    num_steps: int = 10_000
    batch_size: int | None = None
    num_samples: int = 1000
    num_particles: int = 8
    tol: float = 0.01
    corrected: bool = False

    def __post_init__(self) -> None:
        for name, least in (("num_steps", 1), ("batch_size", 1), ("num_samples", 100), ("num_particles", 1)):
            value = getattr(self, name)
            if name == "batch_size" and value is None:
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")
        if (
            isinstance(self.tol, bool)
            or not isinstance(self.tol, int | float | np.number)
            or not 0 < self.tol < np.inf
        ):
            raise ValueError(f"Expected tol to be a number above 0; got {self.tol!r}.")
        if not isinstance(self.corrected, bool):
            raise TypeError(f"Expected corrected to be True or False; got {self.corrected!r}.")
        find_guide(self.guide)
        check_optimizer(self.optimizer)

    def run(self, problem: Problem) -> GuidePosterior:
        """Fit the guide to one problem's posterior (``bayesgmm.fit`` prepares it).

        Interrupted (Ctrl-C) while it fits, it returns the best state until then, and says so among the warnings.
        """
        _check(problem)
        clock = Clock()
        start = em_fit(problem)
        clock.lap("EM start")
        fitted, draws = _fit(self, problem, start, clock)
        return _result(self, problem, start, fitted, draws, clock.seconds)


def _check(problem: Problem) -> None:
    """Refuse what the program cannot do before anything is computed."""
    if not np.all(problem.sample_weight == 1):
        raise ValueError("Expected no sample_weight for SVI; weights are EM's. Repeat or drop rows instead.")
    if problem.model.weights.random_number:
        raise ValueError(
            "Expected a model whose number of components is fixed: it is discrete, and a guide is not. Use Gibbs(), "
            "or models.sparse_mixture or models.dirichlet_process_mixture, whose spare components empty themselves."
        )


@dataclasses.dataclass
class _Fitted:
    """The best state of the guide, and how it was reached."""

    state: Any
    status: SVIStatus
    losses: NDArray[np.float64]
    best: float = np.inf

    @property
    def n_bad(self) -> int:
        return int(np.sum(~np.isfinite(self.losses)))


@in_float64
def _fit(engine: SVI, problem: Problem, start: Any, clock: Clock):
    """The fitted guide, and its draws with their weights."""
    model = to_device(problem.standard_model())
    blocks = to_device(make_rows(problem.rows, model.structure))
    mixture = start_mixture(problem, start)
    target, theta = Target.at(model, blocks, mixture)
    approximation = laplace(problem, target, theta)
    clock.lap("warm start")
    recipe = Recipe.of(engine, len(problem.rows))
    rows = blocks if recipe.by_blocks else jnp.asarray(problem.rows)
    near = anchor(target, jnp.asarray(theta)) if recipe.is_anchored else None
    task = to_device(Task(model, rows, approximation, model.to_sites(mixture), near))
    key_fit, key_draw = jax.random.split(jax.random.key(problem.seed))
    fitted = _Fitted(first_state(recipe, task, key_fit), SVIStatus.NOT_FITTED, np.empty(0))
    if find_guide(engine.guide).is_fitted:
        _ascend(engine, problem, recipe, task, fitted)
    clock.lap("fitting")
    wanted = engine.num_samples * (CANDIDATES if engine.corrected else 1)
    draws = draw(recipe, task, blocks, fitted.state, key_draw, wanted)
    clock.lap("drawing")
    return fitted, draws


def _ascend(engine: SVI, problem: Problem, recipe: Recipe, task: Task, fitted: _Fitted) -> None:
    """Chunks of steps until the ELBO stalls at the last rate; ``fitted`` keeps the best."""
    rates = RATES if engine.optimizer is None else RATES[:1]
    state, stalled, rate, losses = fitted.state, 0, 0, []
    fitted.status = SVIStatus.MAX_STEPS
    try:
        for done in range(0, engine.num_steps, CHUNK):
            problem.tell("guide", done, engine.num_steps)
            state, chunk = advance(recipe, task, state, np.asarray(rates[rate]))
            losses.append(np.asarray(chunk))
            stalled = 0 if _keep_if_better(fitted, state, losses[-1], engine.tol) else stalled + 1
            if stalled == PATIENCE:
                rate, stalled, state = rate + 1, 0, fitted.state
                if rate == len(rates):
                    fitted.status = SVIStatus.CONVERGED
                    break
        problem.tell("guide", engine.num_steps, engine.num_steps)
    except KeyboardInterrupt:
        if not losses:
            raise
        fitted.status = SVIStatus.INTERRUPTED
    fitted.losses = np.concatenate(losses)
    if not np.isfinite(fitted.best):
        fitted.status = SVIStatus.NON_FINITE


def _keep_if_better(fitted: _Fitted, state: Any, losses: NDArray[np.float64], tol: float) -> bool:
    """Keep the state if its chunk's mean loss is the least; whether it is less by more than tol and its error."""
    finite = losses[np.isfinite(losses)]
    if finite.size < losses.size / 2:
        return False
    mean, error = finite.mean(), finite.std() / np.sqrt(finite.size)
    before = fitted.best
    if mean < before:
        fitted.state, fitted.best = state, float(mean)
    return bool(mean < before - tol - error)


def _result(
    engine: SVI,
    problem: Problem,
    start: Any,
    fitted: _Fitted,
    draws: Any,
    seconds: dict[str, float],
) -> GuidePosterior:
    mixture, weighted = draws
    said = describe(engine, problem, fitted, weighted)
    chosen = _chosen(engine, problem, weighted)
    mixture = jax.tree.map(lambda leaf: np.asarray(leaf)[None, chosen], mixture)
    stats = {"lp": weighted.log_joint[None, chosen], "log_guide": weighted.log_guide[None, chosen]}
    remarks = said.remarks + problem.model.weights.remarks(np.exp(mixture.log_weights[0]))
    posterior = assemble(problem, engine, start, mixture, stats, {}, seconds, remarks=remarks)
    posterior.data["variational"] = said.group()
    return GuidePosterior(
        **{field.name: getattr(posterior, field.name) for field in dataclasses.fields(Posterior)}
    )


def _chosen(engine: SVI, problem: Problem, weighted: WeightedDraws) -> NDArray[np.intp]:
    """The draws that make the result: all, or some by systematic resampling with the smoothed weights."""
    if not engine.corrected:
        return np.arange(engine.num_samples)
    rng = np.random.default_rng([problem.seed, 7])
    log_weights, _ = smooth(weighted.log_joint - weighted.log_guide)
    places = (rng.random() + np.arange(engine.num_samples)) / engine.num_samples
    chosen = np.searchsorted(np.cumsum(np.exp(log_weights)), places * (1.0 - 1e-12))
    return rng.permutation(np.minimum(chosen, log_weights.size - 1))
