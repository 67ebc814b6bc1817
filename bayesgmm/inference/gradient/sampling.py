"""What NUTS and HMC share: modes and metric from EM, dispersed chains, a second round where the first objects.

An engine gives two functions, ``begin`` and ``advance``; everything about where chains start, how long they run and
what is kept of them is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.inference.checkpoint import Checkpoint, Saved
from bayesgmm.inference.chunks import Length, run_chunks
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.gradient.empty_component import log_mass_of_emptied
from bayesgmm.inference.gradient.modes import (
    VISITED,
    allot,
    em_starts,
    find_modes,
    share_of_emptied,
    weights_of,
    words_on_emptied,
    words_on_unvisited,
)
from bayesgmm.inference.gradient.target import Chart, Target, gradients, mixtures
from bayesgmm.inference.gradient.vi_start import starting_fit, starting_mode
from bayesgmm.inference.gradient.warm_start import Mode, dispersed_starts
from bayesgmm.inference.problem import Problem
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.row_blocks import make_rows

CHUNK = 50  # steps between two looks from the host
OBJECTS = 1.05  # R-hat of the log joint from which a round is taken for the warm-up of another
DIVERGENT = 0.005  # share of divergent transitions that does the same
CAREFUL = 0.9  # least acceptance that the second round aims at
SPREAD = 3.0  # mean square of whitened coordinates beyond which a chain is not about its mode


class At(NamedTuple):
    """Where chains stand: whitened coordinates (C, P), potential (C,), gradient (C, P)."""

    u: Array
    potential: Array
    slope: Array


class Kept(NamedTuple):
    """What is kept of each step (steps, chains, ...)."""

    u: Array
    lp: Array
    energy: Array
    n_steps: Array
    acceptance_rate: Array
    diverging: Array
    step_size: Array


class Engine(Protocol):
    """A gradient-based sampler."""

    num_chains: int
    num_warmup: int
    num_samples: int
    target_accept_prob: float

    def begin(self, target: Target, charts: Chart, at: At, accept: float, seed: int) -> Any:
        """The chains' first state."""

    def advance(
        self, target: Target, charts: Chart, state: Any, done: int, accept: float, seed: int
    ) -> tuple[Any, Kept]:
        """CHUNK steps of every chain from step ``done``."""


def check_settings(engine: Any, least: Sequence[tuple[str, int]]) -> None:
    """Refuse settings that are no integers of at least so much, or an acceptance outside (0, 1)."""
    for name, bound in least:
        value = getattr(engine, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < bound:
            raise ValueError(f"Expected {name} to be an integer of at least {bound}; got {value!r}.")
    accept = engine.target_accept_prob
    if not isinstance(accept, float) or not 0 < accept < 1:
        raise ValueError(f"Expected target_accept_prob between 0 and 1; got {accept!r}.")


def sample_posterior(engine: Any, problem: Problem) -> Posterior:
    """Sample one problem's posterior with a gradient-based engine.

    Interrupted (Ctrl-C) after the warm-up, it returns what was drawn, and says so among the warnings.
    """
    name = type(engine).__name__
    if not np.all(problem.sample_weight == 1):
        raise ValueError(
            f"Expected no sample_weight for {name}; weights are EM's. Repeat or drop rows instead."
        )
    checkpoint = None if problem.checkpoint is None else Checkpoint(problem.checkpoint, problem, engine)
    clock = Clock()
    given = problem.start if isinstance(problem.start, Posterior) else None
    start, others = em_starts(problem) if given is None else (starting_fit(given), None)
    clock.lap("EM start")
    fit = dataclasses.replace(problem, start=start).start_mixture()
    draws, stats, notes, remarks = _sample(engine, problem, fit, given or others, clock, checkpoint)
    return assemble(problem, engine, start, draws, stats, notes, clock.seconds, remarks=remarks)


@in_float64
def _sample(engine: Any, problem: Problem, fit, others, clock: Clock, checkpoint: Checkpoint | None):
    """Draws as mixtures (chains, draws, ...) in standardised units, the sampler's statistics, notes and words."""
    model = to_device(problem.standard_model())
    target, _ = Target.at(model, to_device(make_rows(problem.rows, model.structure)), fit)
    if isinstance(
        others, Posterior
    ):  # of variational inference, say: its place and its metric, and no search
        modes, emptied = [starting_mode(problem, target, others)], -np.inf
    else:
        modes = find_modes(problem, target, fit, others)
        emptied = log_mass_of_emptied(problem, target, fit)
    clock.lap("warm start")
    kept, charts, remarks = _rounds(engine, problem, target, modes, emptied, clock, checkpoint)
    theta = charts.centre[:, None] + np.einsum("cpq,csq->csp", charts.factor, kept.u)
    flat = mixtures(target, theta.reshape(-1, theta.shape[-1]))
    draws = jax.tree.map(lambda a: a.reshape(*theta.shape[:2], *a.shape[1:]), flat)
    stats = {name: value for name, value in kept._asdict().items() if name != "u"}
    clock.lap("sampling")
    return draws, stats, notes_on(modes, theta), remarks


def _rounds(
    engine: Any, problem: Problem, target: Target, modes: list[Mode], emptied: float, clock, checkpoint
):
    """One round of sampling; where it objects, another with the metric that the first has learnt."""
    emptied = share_of_emptied(modes, emptied)
    began = allot(weights_of(modes), engine.num_chains)
    charts = Chart(*(np.stack(part) for part in zip(*(modes[m].chart for m in began), strict=True)))
    at = At(*dispersed_starts(target, charts, np.random.default_rng([problem.seed, 1])))
    remarks = words_on_unvisited(modes, began) + words_on_emptied(emptied)
    run = Round(engine, problem, target, charts, at, 0)
    saved = None if checkpoint is None else checkpoint.load(run.begin(), Kept(*[0.0] * len(Kept._fields)))
    if saved is not None and saved.round == 1:
        run, remarks = run.careful(charts, at), saved.remarks
    while True:
        if checkpoint is not None:
            checkpoint.round, checkpoint.remarks = run.number, remarks
        charts, kept, words = run.sample(clock, checkpoint, saved)
        objection = "" if words or run.number == 1 else _objection(charts, kept, emptied >= VISITED)
        if not objection:
            return kept, charts, remarks + words
        run, saved = run.careful(*_adapted(target, charts, kept)), None
        remarks += (
            f"A first round of sampling was thrown away ({objection}); this one used the metric that it had learnt.",
        )


class Round(NamedTuple):
    """One round of sampling: warm-up, then draws."""

    engine: Any
    problem: Problem
    target: Target
    charts: Chart
    at: At
    number: int

    def careful(self, charts: Chart, at: At) -> Round:
        """The second round."""
        return self._replace(charts=charts, at=at, number=1)

    @property
    def accept(self) -> float:
        """Acceptance that the step size is to give."""
        wanted = self.engine.target_accept_prob
        return wanted if self.number == 0 else max(CAREFUL, wanted)

    @property
    def seed(self) -> int:
        """Of the random numbers of this round."""
        if self.number == 0:
            return self.problem.seed
        return int(np.random.SeedSequence([self.problem.seed, self.number]).generate_state(1)[0])

    def begin(self) -> tuple[Chart, Any]:
        """What a checkpoint keeps: the coordinates too, since a second round's cannot be found again."""
        charts = to_device(self.charts)
        return charts, self.engine.begin(self.target, charts, to_device(self.at), self.accept, self.seed)

    def sample(
        self, clock: Clock, checkpoint: Checkpoint | None, saved: Saved | None
    ) -> tuple[Chart, Kept, Any]:
        """Coordinates, kept draws (chains, draws, ...), and words where it was cut short."""

        def advance(state: tuple[Chart, Any], done: int) -> tuple[Any, Kept]:
            charts, own = state
            own, draws = self.engine.advance(self.target, charts, own, done, self.accept, self.seed)
            return (charts, own), draws

        state = self.begin() if saved is None else to_device(saved.state)
        length = Length(self.engine.num_warmup, self.engine.num_samples, CHUNK)
        name = type(self.engine).__name__
        if saved is not None:
            saved = saved._replace(state=state)
        (charts, _), kept, words = run_chunks(
            self.problem, name, advance, state, length, clock, checkpoint, saved
        )
        return Chart(*map(np.asarray, charts)), kept, words


def _alike(charts: Chart) -> list[list[int]]:
    """Chains by the mode in which they began."""
    groups: dict[bytes, list[int]] = {}
    for chain, factor in enumerate(np.asarray(charts.factor)):
        groups.setdefault(factor.tobytes(), []).append(chain)
    return list(groups.values())


def _objection(charts: Chart, kept: Kept, one_may_leave: bool) -> str:
    """Why the metric should be adapted, in a few words; empty where nothing objects.

    Chains that began in one mode are compared; that chains in different modes differ is no fault of the metric. Nor is
    it that one of them left, where there is somewhere to go.
    """

    divergent = float(kept.diverging.mean())
    if divergent > DIVERGENT:
        return f"{divergent:.1%} of its transitions diverged"
    worst = max((_r_hat(kept.lp[own], one_may_leave) for own in _alike(charts) if len(own) > 1), default=1.0)
    return f"R-hat of its log joint was {worst:.2f}" if worst > OBJECTS else ""


def _r_hat(lp: NDArray[np.float64], one_may_leave: bool) -> float:
    """R-hat of the log joint (C, S); the least without one of three chains or more, where one may have left."""
    import arviz_stats

    every = float(arviz_stats.rhat(lp))
    if not one_may_leave or len(lp) < 3 or every <= OBJECTS:
        return every
    return min(float(arviz_stats.rhat(np.delete(lp, c, axis=0))) for c in range(len(lp)))


def _adapted(target: Target, charts: Chart, kept: Kept) -> tuple[Chart, At]:
    """Charts whose factor is the chains' own covariance, and where the chains stand in them.

    The covariance is that within chains over the later half, averaged over chains that began alike and shrunk as Stan
    does; the mean of those chains is the new centre.
    """
    half = kept.u[:, kept.u.shape[1] // 2 :]
    _, n, p = half.shape
    centres, factors, u = (np.empty_like(a) for a in (charts.centre, charts.factor, charts.centre))
    for own in _alike(charts):
        rows = n * len(own)
        within = np.mean([np.cov(half[c], rowvar=False).reshape(p, p) for c in own], axis=0)
        tril = np.linalg.cholesky((rows * within + 5e-3 * np.eye(p)) / (rows + 5.0))
        centre = half[own].mean(axis=(0, 1))
        centres[own] = charts.centre[own] + charts.factor[own] @ centre
        factors[own] = charts.factor[own] @ tril
        u[own] = np.linalg.solve(tril, (kept.u[own, -1] - centre).T).T
    new = Chart(centres, factors)
    value, slope = gradients(target, new.theta(u))
    return new, At(u, value, np.einsum("cp,cpq->cq", slope, factors))


def notes_on(modes: list[Mode], theta: NDArray[np.float64]) -> dict[str, Any]:
    """What the result keeps of the modes, and which of them each chain (C, S, P) is about (-1: none)."""
    square = [
        np.mean(np.linalg.solve(mode.factor, (theta - mode.theta).swapaxes(1, 2)) ** 2, axis=(1, 2))
        for mode in modes
    ]
    nearest = np.argmin(square, axis=0)
    return {
        "log_joint_at_mode": np.array([-mode.potential for mode in modes]),
        "laplace_weight": weights_of(modes),
        "newton_decrement": np.array([mode.gradient_norm for mode in modes]),
        "newton_steps": np.array([mode.n_newton for mode in modes]),
        "mode_of_chain": np.where(np.min(square, axis=0) < SPREAD, nearest, -1),
    }
