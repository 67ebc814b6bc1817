"""The sampler chosen by a short pilot: effective draws a second, of the quantities that mix worst."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from bayesgmm.covariances import Structure
from bayesgmm.inference.gibbs.gibbs import Gibbs
from bayesgmm.inference.gradient.hmc import HMC
from bayesgmm.inference.problem import Problem
from bayesgmm.posterior.posterior import Posterior

WARMUP, SAMPLES = 200, 400  # steps of a pilot
APART = 5.0  # standard errors by which the pilots' mean log-likelihoods may differ


@dataclasses.dataclass(frozen=True)
class Auto:
    """Runs HMC and Gibbs for a few hundred draws, where the model allows both, and then the better one.

    Better is more effective draws per processor second, compiling apart, of the worst of the label-invariant
    quantities. Times vary, so on a near tie the choice may too: name the engine where a run must be repeatable.
    """

    def run(self, problem: Problem) -> Posterior:
        """Sample one problem's posterior, and say which engine did it and why."""
        able, refusals = candidates(problem)
        if not able:
            raise ValueError(" ".join(refusals))
        if len(able) == 1:
            chosen = able[0]
            words = f"{type(chosen).__name__} is the only sampler for this model. " + " ".join(refusals)
            return _said(chosen.run(problem), words.strip())
        pilots = {type(engine).__name__: _pilot(engine, problem) for engine in able}
        chosen = max(able, key=lambda engine: pilots[type(engine).__name__].rate)
        report = "; ".join(f"{name} {pilot.rate:.0f}" for name, pilot in pilots.items())
        words = (
            f"{type(chosen).__name__} was chosen by pilots of {SAMPLES} draws a chain, on effective draws per "
            f"processor second, compiling apart: {report}."
        )
        return _said(chosen.run(problem), words + _disagreement(list(pilots.values())))


def candidates(problem: Problem) -> tuple[list[Any], list[str]]:
    """Engines that can sample the model, and why others cannot."""
    able: list[Any] = []
    refusals = []
    try:
        problem.model.weights.check_gradients()
    except ValueError as error:
        refusals.append(str(error))
    if problem.model.weights.overfits:
        refusals.append("HMC and NUTS take finite mixtures alone.")
    elif not refusals:
        able.append(HMC())
    structure = problem.model.structure
    if type(structure).draw_covariances is Structure.draw_covariances:
        refusals.append(f"Covariances of structure {structure.name!r} have no conditional draws for Gibbs.")
        return able, refusals
    try:
        problem.model.components.check_gibbs()
        able.append(Gibbs())
    except ValueError as error:
        refusals.append(str(error))
    return able, refusals


@dataclasses.dataclass(frozen=True)
class Pilot:
    """Effective draws per processor second, and the mean log-likelihood with its Monte Carlo error."""

    rate: float
    mean: float
    error: float


def _pilot(engine: Any, problem: Problem) -> Pilot:
    short = dataclasses.replace(engine, num_warmup=WARMUP, num_samples=SAMPLES)
    quiet = dataclasses.replace(problem, checkpoint=None)
    post = _whole(short.run(quiet))  # compiles what the second, timed, run uses
    began = time.process_time()
    post = _whole(short.run(dataclasses.replace(quiet, start=post.start, seed=problem.seed + 1)))
    seconds = (time.process_time() - began) * post.seconds["sampling"] / sum(post.seconds.values())
    table = post.diagnostics().invariants
    row = table.loc["log likelihood"]
    worst = float(np.nanmin(table["ess_bulk"]))
    return Pilot(worst / max(seconds, 1e-3), float(row["mean"]), float(row["mcse_mean"]))


def _whole(post: Posterior) -> Posterior:
    """A pilot's draws; Ctrl-C during it, which a sampler answers with what it has, ends the fit."""
    if post.data["sample_stats"]["lp"].shape[1] < SAMPLES:
        raise KeyboardInterrupt("interrupted while pilots chose the engine")
    return post


def _disagreement(pilots: list[Pilot]) -> str:
    """Words where two samplers of one posterior differ: one of them has missed a mode."""
    a, b = pilots
    if not abs(a.mean - b.mean) > APART * np.hypot(a.error, b.error):
        return ""
    return (
        f" Their mean log-likelihoods differ ({a.mean:.2f} and {b.mean:.2f}): one of them had not settled, or there "
        "are several modes. Run both, longer, and compare."
    )


def _said(post: Posterior, words: str) -> Posterior:
    return dataclasses.replace(post, remarks=(*post.remarks, words))
