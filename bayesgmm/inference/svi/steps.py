"""The compiled part of SVI: NumPyro's SVI set up inside the trace, so that one program serves every fit of a shape."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import optax
from jax import lax
from jax.example_libraries import optimizers
from numpyro import optim
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.elbo import ELBO

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.inference.svi.elbo import Anchor, QuietELBO, WeightedDraws, weighted_draws
from bayesgmm.inference.svi.guides import find_guide, is_own
from bayesgmm.inference.svi.laplace import Laplace
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.pytree import PyTree
from bayesgmm.row_blocks import Rows

CHUNK = 100  # steps between two looks from the host
CELLS = 2_000_000  # draws x rows weighed at once


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is compiled in."""

    guide: Any
    optimizer: Any
    batch_size: int | None
    num_particles: int

    @classmethod
    def of(cls, engine: Any, n_rows: int) -> Recipe:
        """An engine's recipe for so many rows."""
        batch = None if engine.batch_size is None or engine.batch_size >= n_rows else int(engine.batch_size)
        return cls(engine.guide, engine.optimizer, batch, int(engine.num_particles))

    @property
    def by_blocks(self) -> bool:
        """Whether the rows come in padded blocks, for the kernel's fused pass, rather than as an array (N, D)."""
        return self.batch_size is None and not is_own(self.guide)

    @property
    def is_anchored(self) -> bool:
        """Whether the noise of minibatches is taken out near the start (which needs a guide of ours)."""
        return self.batch_size is not None and not is_own(self.guide)


class Task(PyTree):
    """What changes between fits of one shape: model and rows in standardised units, and where to begin."""

    model: FiniteMixture
    rows: Any
    laplace: Laplace
    sites: dict[str, Array]
    anchor: Anchor | None


def check_optimizer(optimizer: Any) -> None:
    """Raise a TypeError for what is no optimiser."""
    kinds = (optax.GradientTransformation, optim._NumPyroOptim, optimizers.Optimizer)
    if optimizer is not None and not isinstance(optimizer, kinds):
        raise TypeError(
            "Expected optimizer to be None, or one of optax or NumPyro, such as optax.adam(0.01); got "
            f"{type(optimizer).__name__}."
        )


def _program(recipe: Recipe, task: Task) -> Any:
    return task.model.on_blocks if recipe.by_blocks else partial(task.model, subsample_size=recipe.batch_size)


def _set_up(recipe: Recipe, task: Task, rate: Any) -> tuple[SVI, dict[str, Array], float]:
    """NumPyro's SVI, starting values of the guide's parameters, and what the others are multiplied by."""
    program, kind = _program(recipe, task), find_guide(recipe.guide)
    guide, params = kind.build(program, task.laplace, task.sites)
    optimizer = optax.adam(rate) if recipe.optimizer is None else recipe.optimizer
    return SVI(program, guide, optimizer, _loss(recipe, task, kind.by_path)), params, kind.shrink


def _loss(recipe: Recipe, task: Task, by_path: bool) -> ELBO:
    if is_own(recipe.guide):
        return Trace_ELBO(recipe.num_particles)
    return QuietELBO(recipe.num_particles, by_path, recipe.batch_size, task.anchor)


@compiled
def first_state(recipe: Recipe, task: Task, key: Array) -> Any:
    """NumPyro's state before the first step."""
    svi, params, shrink = _set_up(recipe, task, 1.0)
    state = svi.init(key, task.rows, init_params=params or None)
    if shrink == 1.0:
        return state
    small = jax.tree.map(lambda leaf: shrink * leaf, svi.get_params(state))
    return svi.init(key, task.rows, init_params={**small, **params})


@compiled
def advance(recipe: Recipe, task: Task, state: Any, rate: Array) -> tuple[Any, Array]:
    """CHUNK steps: the state, and the loss (CHUNK,) at each; a step to where it is not finite is not taken."""
    svi, params, _ = _set_up(recipe, task, rate)
    svi.init(state.rng_key, task.rows, init_params=params or None)  # sets svi up; its values are not used

    def body(state: Any, _: None) -> tuple[Any, Array]:
        return svi.stable_update(state, task.rows)

    return lax.scan(body, state, length=CHUNK)


def draw(
    recipe: Recipe, task: Task, blocks: Rows, state: Any, key: Array, n_draws: int
) -> tuple[Mixture, WeightedDraws]:
    """Draws of the guide as mixtures (S, ...) in standardised units, weighed on all rows."""
    cells = max(1, blocks.weights.size)
    return _draw(
        recipe, task, blocks, state, jax.random.split(key, n_draws), max(1, min(100, CELLS // cells))
    )


@compiled
def _draw(recipe: Recipe, task: Task, blocks: Rows, state: Any, keys: Array, at_once: int) -> Any:
    svi, params, _ = _set_up(recipe, task, 1.0)
    svi.init(state.rng_key, task.rows, init_params=params or None)
    found = weighted_draws(
        task.model.on_blocks, (blocks,), svi.guide, (task.rows,), svi.get_params(state), keys, at_once
    )
    return task.model.from_sites(found.sites), found
