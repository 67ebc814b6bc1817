"""One round of a gradient-based sampler: chunks of its steps, and jumps between them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.covariances import Array
from bayesgmm.float64 import SMALL, to_device
from bayesgmm.inference.checkpoint import Checkpoint, Saved
from bayesgmm.inference.chunks import Length, run_chunks
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.gradient.jumps import TRIES, Jumps
from bayesgmm.inference.gradient.target import Chart, Target, gradients
from bayesgmm.inference.problem import Problem

CHUNK = 50  # steps between two looks from the host
BETWEEN_JUMPS = 5  # of them where chains jump
CAREFUL = 0.9  # least acceptance that the second round aims at


class At(NamedTuple):
    """Where chains stand: whitened coordinates (C, P), potential (C,), gradient (C, P)."""

    u: Array
    potential: Array
    slope: Array

    @classmethod
    def of(cls, target: Target, charts: Chart, theta: Float[NDArray, "c p"]) -> At:
        """Where chains at unconstrained coordinates stand in these charts; to be run in float64."""
        value, slope = gradients(target, theta)
        return cls(charts.u(theta), value, np.einsum("cp,cpq->cq", slope, charts.factor))


class Kept(NamedTuple):
    """What is kept of each step (steps, chains, ...)."""

    theta: Array
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
    jumps: bool

    def begin(self, target: Target, charts: Chart, at: At, accept: float, seed: int) -> Any:
        """The chains' first state."""

    def advance(
        self, target: Target, charts: Chart, state: Any, steps: range, accept: float, seed: int
    ) -> tuple[Any, Kept]:
        """Some steps of every chain."""

    def standing(self, state: Any) -> At:
        """Where the chains stand; arrays lead with the chains' axis."""

    def moved(self, state: Any, at: At) -> Any:
        """The state with every chain (C, ...) put elsewhere; what is adapted stays."""


class Round(NamedTuple):
    """One round of sampling: warm-up, then draws."""

    engine: Any
    problem: Problem
    target: Target
    charts: Chart
    at: At
    number: int
    jumps: Jumps | None
    may_leave: bool = False  # whether a chain that leaves its mode is no objection: there is somewhere to go

    @property
    def last(self) -> bool:
        """Whether no other round may follow: where chains jump, no metric would serve all regions better."""
        return self.number == 1 or self.jumps is not None

    def careful(self, charts: Chart, at: At) -> Round:
        """The second round."""
        return self._replace(charts=charts, at=at, number=1)

    @property
    def chunk(self) -> int:
        """Steps between two looks from the host."""
        return CHUNK if self.jumps is None else BETWEEN_JUMPS

    @property
    def jump_gradients(self) -> NDArray[np.int64]:
        """Points (S,) that each chain looked at to jump before each kept step."""
        first = self.engine.num_warmup
        numbers = np.arange(first, first + self.engine.num_samples)
        tried = 0 if self.jumps is None else TRIES
        return np.where(numbers % self.chunk == 0, tried, 0)

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
        charts = to_device(self.charts, above=SMALL)
        return charts, self.engine.begin(
            self.target, charts, to_device(self.at, above=SMALL), self.accept, self.seed
        )

    def sample(
        self, clock: Clock, checkpoint: Checkpoint | None, saved: Saved | None
    ) -> tuple[Chart, Kept, Any]:
        """Coordinates, kept draws (chains, draws, ...), and words where it was cut short."""
        state = self.begin() if saved is None else to_device(saved.state, above=SMALL)
        length = Length(self.engine.num_warmup, self.engine.num_samples, self.chunk)
        name = type(self.engine).__name__
        if saved is not None:
            saved = saved._replace(state=state)
        (charts, _), kept, words = run_chunks(
            self.problem, name, self._advance, state, length, clock, checkpoint, saved
        )
        return Chart(*map(np.asarray, charts)), kept, words

    def _advance(self, state: tuple[Chart, Any], done: int) -> tuple[tuple[Chart, Any], Kept]:
        charts, own = state
        if self.jumps is not None:
            own = self._jump(charts, own, done)
        steps = range(done, done + self.chunk)
        own, draws = self.engine.advance(self.target, charts, own, steps, self.accept, self.seed)
        return (charts, own), draws

    def _jump(self, charts: Chart, state: Any, done: int) -> Any:
        """The state after every chain's jump before step ``done``."""
        at = At(*map(np.asarray, self.engine.standing(state)))
        charts = Chart(*map(np.asarray, charts))
        theta = charts.theta(at.u)
        new = self.jumps(theta, at.potential, np.random.default_rng([self.seed, 3, done]))
        moved = np.any(new != theta, axis=1)
        if not moved.any():
            return state
        there = At.of(self.target, charts, new)
        at = At(
            *(np.where(moved.reshape(-1, *[1] * (a.ndim - 1)), b, a) for a, b in zip(at, there, strict=True))
        )
        return self.engine.moved(state, to_device(at, above=SMALL))
