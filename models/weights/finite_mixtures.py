"""Mixtures of finite mixtures: a prior of the number of components, and the telescoping sampler's share."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp

from bayesgmm.covariances import Array, namespace
from bayesgmm.gamma_draws import draw_log_gamma
from bayesgmm.models.weights.concentration import (
    Concentration,
    check_concentration,
    concentration_site,
    initial_concentration,
    metropolis,
    resolve_concentration,
    sample_concentration,
)
from bayesgmm.models.weights.dirichlet import dirichlet_weights
from bayesgmm.models.weights.log_gamma import LogGamma
from bayesgmm.models.weights.number_prior import NumberPrior, uniform
from bayesgmm.models.weights.weight_prior import WeightDraw, WeightPrior
from bayesgmm.pytree import static

EDGE = 0.01  # posterior mass at the largest number of components above which the cut is said to be too low


class MixtureOfFiniteMixtures(WeightPrior):
    r"""Random number of components, symmetric Dirichlet weights given it.

    .. math:: K \sim p(K), \qquad w \mid K \sim Dirichlet(\gamma_K, \dots, \gamma_K)

    Static: gamma_K = concentration (Richardson & Green 1997, Miller & Harrison 2018). Dynamic: gamma_K =
    concentration / K (McCullagh & Yang 2008; Fruehwirth-Schnatter, Malsiner-Walli & Gruen 2021), under which spare
    components stay empty. The concentration is fixed or random. There are as many slots as the prior allows
    components; absent ones have weight zero.

    Raises a TypeError or ValueError for a concentration that is neither a positive number nor a prior of one.
    """

    overfits: ClassVar[bool] = True
    random_number: ClassVar[bool] = True

    number: Any = dataclasses.field(default_factory=uniform)
    concentration: Concentration = 1.0
    dynamic: bool = static(default=False)

    def __post_init__(self):
        check_concentration("concentration", self.concentration)
        if not isinstance(self.number, NumberPrior):
            raise TypeError(
                f"Expected the prior of K to be one such as models.weights.uniform(30); got {self.number!r}."
            )

    def _given(self, concentration: Any) -> MixtureOfFiniteMixtures:
        return MixtureOfFiniteMixtures(self.number, concentration, self.dynamic)

    def resolve(self) -> MixtureOfFiniteMixtures:
        return self._given(resolve_concentration(self.concentration))

    def _rates(self, value: Array) -> Array:
        """gamma_K (most,) for K = 1, ..., most."""
        xp = namespace(value)
        numbers = xp.arange(1.0, self.number.most + 1.0)
        return value / numbers if self.dynamic else value + xp.zeros_like(numbers)

    # ---- the NumPyro program

    def sites(self, n_components: int) -> Array:
        """Sample ``n_components`` (from 0, one less than K), and logarithms of scores whose shares are the weights.

        K is discrete: for prior simulation, or NumPyro's DiscreteHMCGibbs; NUTS alone cannot move it.
        """
        value = concentration_site("concentration", self.concentration)
        less_one = numpyro.sample("n_components", dist.Categorical(logits=self.number.log_probabilities))
        rates = jnp.broadcast_to(self._rates(value)[less_one], (n_components,))
        log_scores = numpyro.sample("log_scores", LogGamma(rates).to_event(1))
        kept = jnp.where(jnp.arange(n_components) <= less_one, log_scores, -jnp.inf)
        log_weights = kept - logsumexp(kept)
        numpyro.deterministic("weights", jnp.exp(log_weights))
        return log_weights

    def to_sites(self, log_weights: Array) -> dict[str, Array]:
        raise ValueError(
            "The number of components is discrete: gradient-based engines cannot start from it. Use Gibbs(), or "
            "NumPyro's DiscreteHMCGibbs on the program itself."
        )

    def from_sites(self, sites: dict[str, Array]) -> Array:
        xp = namespace(sites["log_scores"])
        slots = xp.arange(sites["log_scores"].shape[-1])
        kept = xp.where(slots <= sites["n_components"][..., None], sites["log_scores"], -xp.inf)
        return kept - logsumexp(kept, axis=-1, keepdims=True)

    def log_prior(self, log_weights: Array) -> Array:
        """Log probability of K plus log density of its K weights (absent slots apart)."""
        present = log_weights > -jnp.inf
        k = jnp.sum(present, axis=-1)
        rate = self._rates(jnp.asarray(self.concentration))[k - 1]
        powers = jnp.sum(jnp.where(present, (rate - 1.0)[..., None] * log_weights, 0.0), axis=-1)
        return self.number.log_probabilities[k - 1] + powers + gammaln(k * rate) - k * gammaln(rate)

    # ---- the telescoping sampler

    def initial_state(self) -> dict[str, Array]:
        return {"n_components": jnp.array(1), **initial_concentration(self.concentration)}

    def at(self, state: dict[str, Array]) -> MixtureOfFiniteMixtures:
        return self._given(state["concentration"]) if "concentration" in state else self

    def draw(self, key: Array, counts: Array, state: dict[str, Array]) -> WeightDraw:
        """Telescoping step: K given the partition, the concentration given both, then weights.

        Fruehwirth-Schnatter, Malsiner-Walli & Gruen (2021, algorithm 1). Occupied slots come first; the K - K+ that
        follow are empty components; the rest are absent.
        """
        key_number, key_concentration, key_weights = jax.random.split(key, 3)
        order = occupied_first(counts)
        counts = counts[order]
        value = self.at(state).concentration
        less_one = jax.random.categorical(key_number, self.log_number_given(counts, value))
        state = {**state, "n_components": (less_one + 1).astype(state["n_components"].dtype)}
        if "concentration" in state:
            prior = self.concentration

            def log_density(a: Array) -> Array:
                return prior.log_prob(a) + self.log_number_given(counts, a)[less_one]

            state["concentration"] = metropolis(key_concentration, log_density, state["concentration"])
        rate = self._rates(self.at(state).concentration)[less_one]
        scores = draw_log_gamma(key_weights, rate + counts)
        scores = jnp.where(jnp.arange(counts.shape[-1]) <= less_one, scores, -jnp.inf)
        return WeightDraw(order, scores - logsumexp(scores), state)

    def log_evidence(self, counts, factor):
        """The number of components is summed out too; a partition lies in any of the slots with equal probability."""
        slots, occupied = counts.shape[-1], jnp.sum(counts > 0)
        arrangements = gammaln(slots + 1.0) - gammaln(slots - occupied + 1.0)
        return logsumexp(self.log_number_given(counts, jnp.asarray(self.concentration))) - arrangements

    def log_number_given(self, counts: Array, value: Array) -> Array:
        """Log joint (most,) of K = 1, ..., most and the partition of these counts, up to a constant.

        p(K) K! / (K - K+)! Gamma(K gamma) / Gamma(K gamma + N) prod over clusters Gamma(N_k + gamma) / Gamma(gamma).
        """
        numbers = jnp.arange(1.0, self.number.most + 1.0)
        rates = self._rates(value)
        occupied, total = jnp.sum(counts > 0), jnp.sum(counts)
        own = (
            rates[:, None] if self.dynamic else rates[:1, None]
        )  # one row serves all K where the rate is one
        clusters = jnp.where(counts > 0, gammaln(counts + own) - gammaln(own), 0.0)
        names = gammaln(numbers + 1.0) - gammaln(jnp.maximum(numbers - occupied, 0.0) + 1.0)
        sizes = gammaln(numbers * rates) - gammaln(numbers * rates + total) + jnp.sum(clusters, axis=1)
        return jnp.where(numbers >= occupied, self.number.log_probabilities + names + sizes, -jnp.inf)

    # ---- what is said of the prior

    def draw_weights(self, rng: np.random.Generator, n_components: int, n_draws: int) -> np.ndarray:
        value = sample_concentration(self.concentration, rng, n_draws)
        k = 1 + rng.choice(self.number.most, size=n_draws, p=self.prior_n_components())
        rate = value / k if self.dynamic else value
        present = np.arange(n_components) < k[:, None]
        weights = np.where(
            present, dirichlet_weights(rng, np.repeat(rate[:, None], n_components, axis=1)), 0.0
        )
        total = weights.sum(axis=1, keepdims=True)
        # All mass may have fallen on absent slots, beyond floating point: then one present slot holds everything.
        one = np.eye(n_components)[rng.integers(k)]
        return np.where(total > 0, weights / np.where(total > 0, total, 1.0), one)

    def prior_n_components(self) -> np.ndarray:
        p = self.number.probabilities
        return p / p.sum()

    def remarks(self, weights: np.ndarray) -> tuple[str, ...]:
        full = float(np.mean(np.count_nonzero(weights, axis=1) == self.number.most))
        if full <= EDGE or self.number.tail == 0.0:  # a bounded prior means its bound
            return ()
        return (
            f"{full:.1%} of the draws have the {self.number.most} components that the prior of K is cut off at: the "
            "cut, not the data, bounds K. Raise most.",
        )


def occupied_first(counts: Array) -> Array:
    """The slots (K,) that hold rows, then those that do not, each in their order (sorting would compile slowly)."""
    occupied = counts > 0
    n_occupied = jnp.sum(occupied)
    position = jnp.where(occupied, jnp.cumsum(occupied) - 1, n_occupied + jnp.cumsum(~occupied) - 1)
    slots = jnp.arange(counts.shape[-1])
    return jnp.zeros_like(slots).at[position].set(slots)
