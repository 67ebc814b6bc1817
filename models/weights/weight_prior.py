"""What a prior of the mixing weights has to offer."""

from __future__ import annotations

import abc
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bayesgmm.covariances import Array
from bayesgmm.pytree import PyTree

State = dict[str, Array]
"""Values of a prior's own random hyperparameters, by name; empty where there are none."""


USUAL = 5
"""Where slots are to spare, their number says nothing of the clusters' size; defaults are scaled for this many."""


class WeightDraw(NamedTuple):
    """Weights drawn given the allocations.

    Attributes
    ----------
    order : (K,) the old slot of each new one
    log_weights : (K,) of the new slots, minus infinity where a slot is absent
    state : hyperparameters
    """

    order: Int[Array, " k"]
    log_weights: Float[Array, " k"]
    state: State


class WeightPrior(PyTree):
    """A prior of the weights of K components (slots, where their number is random)."""

    overfits: ClassVar[bool] = False
    """Whether slots are meant to stay empty, so that there may be more of them than rows."""
    random_number: ClassVar[bool] = False
    """Whether the number of components is itself drawn."""

    def usual_number(self, n_components: int) -> int:
        """How many components the defaults of the component prior are to be scaled for."""
        return min(n_components, USUAL) if self.overfits else n_components

    @abc.abstractmethod
    def resolve(self) -> WeightPrior:
        """The same with arrays inside, so that engines trace them rather than compile them in."""

    @abc.abstractmethod
    def sites(self, n_components: int) -> Array:
        """The NumPyro program: sample the weights; log weights (K,)."""

    @abc.abstractmethod
    def to_sites(self, log_weights: Array) -> dict[str, Array]:
        """Values of the sites at given weights (..., K)."""

    @abc.abstractmethod
    def from_sites(self, sites: dict[str, Array]) -> Array:
        """Log weights (..., K) at given values of the sites; inverse of :meth:`to_sites`."""

    @abc.abstractmethod
    def log_prior(self, log_weights: Array) -> Array:
        """Log density of the weights, given the hyperparameters."""

    def pseudo_counts(self) -> Array:
        """What the posterior mode of the weights adds to each count; a ValueError where it is no such thing."""
        raise ValueError(
            f"Neither MAP nor what starts from it (HMC, NUTS, SVI) takes {type(self).__name__}. Sample it with "
            "Gibbs(), or use models.finite_mixture."
        )

    def bounded(self) -> WeightPrior:
        """A prior as near to this one as may be whose density has no poles, for EM to look for starts under."""
        return self

    # ---- Gibbs

    def initial_state(self) -> State:
        """Hyperparameters to begin with."""
        return {}

    def at(self, state: State) -> WeightPrior:
        """The prior given its hyperparameters."""
        return self

    @abc.abstractmethod
    def draw(self, key: Array, counts: Float[Array, " k"], state: State) -> WeightDraw:
        """Hyperparameters and weights given how many rows each slot holds."""

    def log_splits(self, counts: Float[Array, " k"], slot: Array, moved: Array) -> Float[Array, " k"]:
        """Log probability (K,) of the allocations once some of a slot's rows sit in each of the empty slots.

        Weights are integrated out, hyperparameters fixed; it is minus infinity where a slot is not empty.
        """
        empty = counts == 0  # they are all alike, unless slots have an order
        after = counts.at[slot].add(-moved).at[jnp.argmax(empty)].add(moved)
        return jnp.where(empty, self.log_evidence(after, {}), -jnp.inf)

    # ---- CAVI

    def check_gradients(self) -> None:
        """Raise a ValueError where weights that matter are too small for gradient-based sampling."""

    def check_cavi(self) -> None:
        """Raise a ValueError where variational inference has no closed form."""
        raise ValueError(
            f"{type(self).__name__} has no variational posterior in closed form, so CAVI cannot fit it. Sample it with "
            "Gibbs(), or use models.finite_mixture or models.dirichlet_process_mixture."
        )

    def first_factor(self) -> State:
        """Variational posterior of the hyperparameters to begin with; empty where none is random."""
        return {}

    def refine_factor(self, counts: Float[Array, " k"], factor: State) -> State:
        """Variational posterior of the hyperparameters given expected counts."""
        return factor

    def preferred_order(self, counts: Float[Array, "*lead k"]) -> Int[Array, "*lead k"] | None:
        """An order of the slots likely to be more probable than the one they are in; None where all are equal."""
        return None

    def expected_log(self, counts: Float[Array, " k"], factor: State) -> Float[Array, " k"]:
        """E[log weights] under the variational posterior given expected counts."""
        raise NotImplementedError

    def log_expected(self, counts: Float[Array, " k"], factor: State) -> Float[Array, " k"]:
        """log E[weights] under the same."""
        raise NotImplementedError

    def log_evidence(self, counts: Float[Array, " k"], factor: State) -> Float[Array, ""]:
        """Log integral of ``prod_k weights_k ^ counts_k`` over the prior.

        Where hyperparameters are random it is the lower bound that their factor gives.
        """
        raise NotImplementedError

    def draw_factor(
        self, rng: np.random.Generator, counts: Float[np.ndarray, " k"], factor: State, n_draws: int
    ) -> tuple[Float[np.ndarray, "s k"], State]:
        """Log weights (S, K) and hyperparameters (S, ...) from the variational posterior, on the host."""
        raise NotImplementedError

    # ---- what is said of the prior

    @abc.abstractmethod
    def draw_weights(
        self, rng: np.random.Generator, n_components: int, n_draws: int
    ) -> Float[np.ndarray, "s k"]:
        """Weights (S, K) from the prior, hyperparameters drawn too."""

    def prior_n_clusters(
        self, rng: np.random.Generator, n_components: int, n_rows: int, n_draws: int
    ) -> Int[np.ndarray, " s"]:
        """Draws (S,) of the number of components that hold at least one of N rows, before any row is seen."""
        weights = self.draw_weights(rng, n_components, n_draws)
        return np.array([np.count_nonzero(rng.multinomial(n_rows, w)) for w in weights])

    def prior_n_components(self) -> Float[np.ndarray, " k"] | None:
        """Probability (K,) of 1, 2, ... components, where their number is random."""
        return None

    def remarks(self, weights: Float[np.ndarray, "s k"]) -> tuple[str, ...]:
        """What posterior draws of the weights (S, K), in the sampler's own order, say against the settings."""
        return ()
