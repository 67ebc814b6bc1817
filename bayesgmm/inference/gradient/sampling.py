"""What NUTS and HMC share: modes and metric from EM, dispersed chains, a second round where the first objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.float64 import SMALL, in_float64, to_device
from bayesgmm.inference.checkpoint import Checkpoint
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.gradient.empty_component import Emptied, weigh_emptied
from bayesgmm.inference.gradient.jumps import Jumps
from bayesgmm.inference.gradient.labellings import Labellings
from bayesgmm.inference.gradient.modes import (
    VISITED,
    allot,
    em_starts,
    find_modes,
    shares_of_emptied,
    weights_of,
    words_on_emptied,
    words_on_unvisited,
)
from bayesgmm.inference.gradient.regions import find_regions, words_on_jumps
from bayesgmm.inference.gradient.round import At, Kept, Round
from bayesgmm.inference.gradient.target import Chart, Target, mixtures
from bayesgmm.inference.gradient.vi_start import starting_fit, starting_mode
from bayesgmm.inference.gradient.warm_start import Mode, dispersed_starts
from bayesgmm.inference.problem import Problem
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.row_blocks import make_rows

OBJECTS = 1.05  # R-hat of the log joint from which a round is taken for the warm-up of another
DIVERGENT = 0.005  # share of divergent transitions that does the same
SPREAD = 3.0  # mean square of whitened coordinates beyond which a chain is not about its mode


def check_settings(engine: Any, least: Sequence[tuple[str, int]]) -> None:
    """Refuse settings that are no integers of at least so much, or an acceptance or jumps that make no sense."""
    for name, bound in least:
        value = getattr(engine, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < bound:
            raise ValueError(f"Expected {name} to be an integer of at least {bound}; got {value!r}.")
    accept = engine.target_accept_prob
    if not isinstance(accept, float) or not 0 < accept < 1:
        raise ValueError(f"Expected target_accept_prob between 0 and 1; got {accept!r}.")
    if not isinstance(engine.jumps, bool | np.bool_):
        raise TypeError(f"Expected jumps to be True or False; got {engine.jumps!r}.")


def sample_posterior(engine: Any, problem: Problem) -> Posterior:
    """Sample one problem's posterior with a gradient-based engine.

    Interrupted (Ctrl-C) after the warm-up, it returns what was drawn, and says so among the warnings.
    """
    name = type(engine).__name__
    if not np.all(problem.sample_weight == 1):
        raise ValueError(
            f"Expected no sample_weight for {name}; weights are EM's. Repeat or drop rows instead."
        )
    problem.model.weights.check_gradients()
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
    model = to_device(problem.standard_model(), above=SMALL)
    target, _ = Target.at(model, to_device(make_rows(problem.rows, model.structure), above=SMALL), fit)
    if isinstance(others, Posterior):  # of variational inference, say: its place and metric, and no search
        modes, emptied = [starting_mode(problem, target, others)], []
    else:
        modes = find_modes(problem, target, fit, others)
        emptied = weigh_emptied(problem, target, fit)
    jumps = _jumps(problem, target, modes, emptied) if engine.jumps else None
    share, visited = float(shares_of_emptied(modes, emptied).sum()), _visited(engine, modes, jumps)
    run = _first_round(engine, problem, target, modes, jumps)._replace(may_leave=share >= VISITED)
    where = words_on_emptied(share) if jumps is None else words_on_jumps(jumps.regions)
    clock.lap("warm start")
    kept, remarks = _rounds(run, words_on_unvisited(modes, visited) + where, clock, checkpoint)
    (c, s), p = kept.theta.shape[:2], kept.theta.shape[2]
    flat = mixtures(target, kept.theta.reshape(-1, p))
    draws = jax.tree.map(lambda a: a.reshape(c, s, *a.shape[1:]), flat)
    stats = {name: value for name, value in kept._asdict().items() if name != "theta"}
    stats["jump_gradients"] = np.broadcast_to(run.jump_gradients[:s], (c, s))
    clock.lap("sampling")
    return draws, stats, notes_on(modes, visited, kept.theta), remarks


def _visited(engine: Any, modes: list[Mode], jumps: Jumps | None) -> NDArray[np.intp]:
    """The modes in which chains begin, or to which they jump wherever they begin."""
    weights = weights_of(modes)
    return (
        np.unique(allot(weights, engine.num_chains)) if jumps is None else np.flatnonzero(weights >= VISITED)
    )


def _first_round(
    engine: Any, problem: Problem, target: Target, modes: list[Mode], jumps: Jumps | None
) -> Round:
    """The first round: chains dispersed about the modes, each in the coordinates of its own."""
    began = allot(weights_of(modes), engine.num_chains)
    charts = Chart(*(np.stack(part) for part in zip(*(modes[m].chart for m in began), strict=True)))
    at = At(*dispersed_starts(target, charts, np.random.default_rng([problem.seed, 1])))
    if jumps is not None:  # one set of coordinates for all, which no chain chooses by where it is
        theta, charts = charts.theta(at.u), jumps.regions.charts.at(np.zeros(engine.num_chains, int))
        at = At.of(target, charts, theta)
    return Round(engine, problem, target, charts, at, 0, jumps)


def _rounds(
    run: Round, remarks: tuple[str, ...], clock: Clock, checkpoint: Checkpoint | None
) -> tuple[Kept, tuple[str, ...]]:
    """One round of sampling; where it objects, another with the metric that the first has learnt.

    A round that was finished without objection, and now is prolonged, is not thrown away any more.
    """
    saved = None if checkpoint is None else checkpoint.load(run.begin(), Kept(*[0.0] * len(Kept._fields)))
    if saved is not None and saved.round == 1:
        run, remarks = run.careful(run.charts, run.at), saved.remarks
    total = run.engine.num_warmup + run.engine.num_samples
    prolonged = saved is not None and saved.finished and saved.done < total
    while True:
        if checkpoint is not None:
            checkpoint.round, checkpoint.remarks = run.number, remarks
        charts, kept, words = run.sample(clock, checkpoint, saved)
        objection = "" if words or run.last or prolonged else _objection(charts, kept, run.may_leave)
        if not objection:
            return kept, remarks + words
        run, saved = run.careful(*_adapted(run.target, charts, kept)), None
        remarks += (
            f"A first round of sampling was thrown away ({objection}); this one used the metric that it had learnt.",
        )


def _jumps(problem: Problem, target: Target, modes: list[Mode], emptied: list[Emptied]) -> Jumps | None:
    """Jumps between the regions; None where there is one, or where the components' numbering matters."""
    if not Labellings.are_alike(target):
        return None
    labellings = Labellings(target)
    regions = find_regions(target, labellings, modes, emptied, problem.seed)
    return None if regions is None else Jumps(target, regions, labellings)


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
    half = kept.theta[:, kept.theta.shape[1] // 2 :]
    u = np.stack([Chart(*part).u(own) for *part, own in zip(*charts, half, strict=True)])
    _, n, p = u.shape
    centres, factors = np.empty_like(charts.centre), np.empty_like(charts.factor)
    for own in _alike(charts):
        rows = n * len(own)
        within = np.mean([np.cov(u[c], rowvar=False).reshape(p, p) for c in own], axis=0)
        tril = np.linalg.cholesky((rows * within + 5e-3 * np.eye(p)) / (rows + 5.0))
        centres[own] = half[own].mean(axis=(0, 1))
        factors[own] = charts.factor[own] @ tril
    new = Chart(centres, factors)
    return new, At.of(target, new, kept.theta[:, -1])


def notes_on(modes: list[Mode], visited: NDArray[np.intp], theta: NDArray[np.float64]) -> dict[str, Any]:
    """What the result keeps of the modes, and which of them each chain (C, S, P) is about (-1: none, or several)."""
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
        "visited": np.isin(np.arange(len(modes)), visited),
        "mode_of_chain": np.where(np.min(square, axis=0) < SPREAD, nearest, -1),
    }
