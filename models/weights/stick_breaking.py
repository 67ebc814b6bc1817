"""Stick-breaking weights, truncated: the Dirichlet process and the Pitman-Yor process."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import betaln, digamma, gammaln

from bayesgmm.covariances import Array, namespace
from bayesgmm.gamma_draws import draw_log_gamma, host_log_gamma
from bayesgmm.models.weights.concentration import (
    Concentration,
    ConcentrationPrior,
    check_concentration,
    concentration_site,
    initial_concentration,
    metropolis,
    resolve_concentration,
    sample_concentration,
)
from bayesgmm.models.weights.gamma import Gamma
from bayesgmm.models.weights.weight_prior import WeightDraw, WeightPrior

REFINEMENTS = 3  # of the concentration's factor, for each of the allocations'
LAST_STICK = 0.01  # mean weight of the last stick above which the truncation is said to be too small


class StickBreaking(WeightPrior):
    r"""Weights by breaking a stick T - 1 times; the last weight is what is left.

    .. math:: v_k \sim Beta(1 - d, \alpha + k d), \qquad w_k = v_k \prod_{j < k} (1 - v_j), \qquad
        w_T = \prod_{j < T} (1 - v_j)

    Discount d = 0 is the Dirichlet process (Sethuraman 1994), 0 < d < 1 the Pitman-Yor process (Pitman & Yor 1997);
    both truncated at T as in Ishwaran & James (2001). The concentration is fixed or random.

    Raises a TypeError or ValueError for a concentration that is neither a positive number nor a prior of one, or a
    discount outside [0, 1).
    """

    overfits: ClassVar[bool] = True

    concentration: Concentration = 1.0
    discount: Any = 0.0

    def __post_init__(self):
        check_concentration("concentration", self.concentration)
        if isinstance(self.discount, jax.Array):
            return
        if isinstance(self.discount, bool | str) or self.discount is None or np.ndim(self.discount) > 0:
            raise TypeError(f"Expected discount to be one number in [0, 1); got {self.discount!r}.")
        if not 0 <= float(self.discount) < 1:
            raise ValueError(f"Expected discount in [0, 1); got {self.discount!r}.")

    def resolve(self) -> StickBreaking:
        return StickBreaking(resolve_concentration(self.concentration), np.asarray(self.discount, float))

    def _second(self, value: Any, n_sticks: int) -> Array:
        """The second Beta parameter (T - 1,) of each stick."""
        return value + self.discount * namespace(value, self.discount).arange(1, n_sticks + 1)

    def sites(self, n_components: int) -> Array:
        """Sample ``sticks`` (T - 1,), and ``concentration`` where it is random; record ``weights``."""
        value = concentration_site("concentration", self.concentration)
        if n_components == 1:
            return jnp.log(numpyro.deterministic("weights", jnp.ones(1)))
        prior = dist.Beta(1.0 - self.discount, self._second(value, n_components - 1)).to_event(1)
        sticks = numpyro.sample("sticks", prior)
        log_weights = log_weights_of(jnp.log(sticks), jnp.log1p(-sticks))
        numpyro.deterministic("weights", jnp.exp(log_weights))
        return log_weights

    def to_sites(self, log_weights: Array) -> dict[str, Array]:
        """Sticks (..., T - 1), kept within the open interval."""
        xp = namespace(log_weights)
        sites = {}
        if log_weights.shape[-1] > 1:
            weights = xp.exp(log_weights)
            left = xp.flip(xp.cumsum(xp.flip(weights, -1), axis=-1), -1)
            sticks = weights[..., :-1] / xp.where(left[..., :-1] > 0, left[..., :-1], 1.0)
            sites["sticks"] = xp.clip(sticks, 1e-8, 1.0 - 1e-8)
        if isinstance(self.concentration, ConcentrationPrior):
            sites["concentration"] = xp.broadcast_to(self.concentration.mean, log_weights.shape[:-1])
        return sites

    def from_sites(self, sites: dict[str, Array]) -> Array:
        xp = namespace(sites["sticks"])
        return log_weights_of(xp.log(sites["sticks"]), xp.log1p(-sites["sticks"]))

    def log_prior(self, log_weights: Array) -> Array:
        """Log density at the weights, with respect to Lebesgue measure on the first T - 1 of them.

        The sticks' Beta densities, divided by the Jacobian: weight k is stick k times what is left before it.
        """
        k = log_weights.shape[-1]
        if k == 1:
            return jnp.zeros(log_weights.shape[:-1])
        left = jnp.flip(jax.lax.cumlogsumexp(jnp.flip(log_weights, -1), axis=log_weights.ndim - 1), -1)
        a, b = 1.0 - self.discount, self._second(self.concentration, k - 1)
        log_stick, log_rest = log_weights[..., :-1] - left[..., :-1], left[..., 1:] - left[..., :-1]
        density = (a - 1.0) * log_stick + (b - 1.0) * log_rest - betaln(a, b)
        return jnp.sum(density - left[..., :-1], axis=-1)

    # ---- Gibbs

    def initial_state(self) -> dict[str, Array]:
        return initial_concentration(self.concentration)

    def at(self, state: dict[str, Array]) -> StickBreaking:
        return StickBreaking(state["concentration"], self.discount) if state else self

    def draw(self, key: Array, counts: Array, state: dict[str, Array]) -> WeightDraw:
        """Exchange neighbouring slots, draw the concentration, then the sticks.

        All given the counts alone, sticks integrated out where they can be (Papaspiliopoulos & Roberts 2008 exchange
        labels given the sticks): stick-breaking weights are ordered, and without exchanges a chain hardly ever
        reorders its clusters.
        """
        key_order, key_concentration, key_sticks = jax.random.split(key, 3)
        prior = self.at(state)
        order = jnp.arange(counts.shape[-1])
        for first, key_pass in enumerate(jax.random.split(key_order, 2)):
            order = prior._exchanged(key_pass, counts, order, first)
        counts = counts[order]
        if state:
            state = {"concentration": self._draw_concentration(key_concentration, counts, state)}
        return WeightDraw(order, self.at(state)._draw_sticks(key_sticks, counts), state)

    def log_splits(self, counts, slot, moved):
        """Slots have an order, so that every empty one is another place."""

        def into(other: Array) -> Array:
            return self.log_evidence(counts.at[slot].add(-moved).at[other].add(moved), {})

        return jnp.where(counts == 0, jax.vmap(into)(jnp.arange(counts.shape[-1])), -jnp.inf)

    def _log_marginals(self, counts: Array) -> Array:
        """Log probability of each stick's decisions (T,), the stick integrated out; the last is certain."""
        after = jnp.cumsum(counts[::-1])[::-1] - counts
        a, b = 1.0 - self.discount, self._second(self.concentration, counts.shape[-1] - 1)
        own = betaln(a + counts[:-1], b + after[:-1]) - betaln(a, b)
        return jnp.append(own, 0.0)

    def _exchanged(self, key: Array, counts: Array, order: Array, first: int) -> Array:
        """Metropolis exchanges of the disjoint neighbours (first, first + 1), (first + 2, first + 3), ...

        They are independent of one another: what comes after a pair is the same whatever the other pairs do.
        """
        t = counts.shape[-1]
        slots = np.arange(t)
        partner = np.where((slots - first) % 2 == 0, slots + 1, slots - 1)
        partner = np.where((partner >= first) & (partner < t) & (slots >= first), partner, slots)
        lower = np.minimum(slots, partner)
        gain = self._log_marginals(counts[order][partner]) - self._log_marginals(counts[order])
        gain = gain + gain[partner]
        uniform = jax.random.uniform(key, (t,), counts.dtype)[lower]
        return jnp.where((jnp.log(uniform) < gain) & (partner != slots), order[partner], order)

    def _draw_concentration(self, key: Array, counts: Array, state: dict[str, Array]) -> Array:
        def log_density(value: Array) -> Array:
            marginals = StickBreaking(value, self.discount)._log_marginals(counts)
            return self.concentration.log_prob(value) + jnp.sum(marginals)

        return metropolis(key, log_density, state["concentration"])

    def _draw_sticks(self, key: Array, counts: Array) -> Array:
        after = jnp.cumsum(counts[::-1])[::-1] - counts
        b = self._second(self.concentration, counts.shape[-1] - 1)
        shapes = jnp.stack([1.0 - self.discount + counts[:-1], b + after[:-1]])
        log_broken, log_kept = draw_log_gamma(key, shapes)
        total = jnp.logaddexp(log_broken, log_kept)
        return log_weights_of(log_broken - total, log_kept - total)

    # ---- CAVI: every stick a Beta, a random concentration a Gamma (Blei & Jordan 2006)

    def check_cavi(self):
        is_random = isinstance(self.concentration, ConcentrationPrior)
        if is_random and not (isinstance(self.concentration, Gamma) and float(self.discount) == 0):
            raise ValueError(
                "Only a Gamma prior of the concentration is conjugate, and to a Dirichlet process only, so CAVI cannot "
                "fit this one. Give concentration as a number, make it Gamma with discount=0, or sample the model "
                "with Gibbs()."
            )

    def first_factor(self):
        prior = self.concentration
        return {"shape": prior.shape, "rate": prior.rate} if isinstance(prior, Gamma) else {}

    def _expected_concentration(self, factor: dict[str, Array]) -> Array:
        return factor["shape"] / factor["rate"] if factor else jnp.asarray(self.concentration)

    def _betas(self, counts: Array, factor: dict[str, Array]) -> tuple[Array, Array]:
        """Both parameters (T - 1,) of the sticks' Betas."""
        after = jnp.cumsum(counts[::-1])[::-1] - counts
        b = self._second(self._expected_concentration(factor), counts.shape[-1] - 1)
        return 1.0 - self.discount + counts[:-1], b + after[:-1]

    def refine_factor(self, counts, factor):
        """The Gamma of the concentration and the Betas in turn, a few times."""
        if not factor:
            return factor
        shape = self.concentration.shape + counts.shape[-1] - 1.0

        def refined(_: Array, rate: Array) -> Array:
            a, b = self._betas(counts, {"shape": shape, "rate": rate})
            return self.concentration.rate - jnp.sum(digamma(b) - digamma(a + b))

        # The first rate is that of the factor's own mean, whose shape may be the prior's still.
        rate = shape * factor["rate"] / factor["shape"]
        return {"shape": shape, "rate": jax.lax.fori_loop(0, REFINEMENTS, refined, rate)}

    def preferred_order(self, counts):
        """By decreasing counts (Kurihara, Welling & Teh 2007)."""
        return namespace(counts).argsort(-counts, axis=-1)

    def expected_log(self, counts, factor):
        a, b = self._betas(counts, factor)
        total = digamma(a + b)
        return log_weights_of(digamma(a) - total, digamma(b) - total)

    def log_expected(self, counts, factor):
        a, b = self._betas(counts, factor)
        return log_weights_of(jnp.log(a) - jnp.log(a + b), jnp.log(b) - jnp.log(a + b))

    def log_evidence(self, counts, factor):
        a, b = self._betas(counts, factor)
        value = self._expected_concentration(factor)
        a0, b0 = 1.0 - self.discount, self._second(value, counts.shape[-1] - 1)
        a0 = jnp.broadcast_to(a0, b0.shape)
        logs = gammaln(
            jnp.stack([a, b, a + b, a0, b0, a0 + b0])
        )  # one call: every one more costs compile time
        sticks = jnp.sum(logs[0] + logs[1] - logs[2] - logs[3] - logs[4] + logs[5])
        if not factor:
            return sticks
        expected_log = digamma(factor["shape"]) - jnp.log(factor["rate"])
        own = (counts.shape[-1] - 1) * (expected_log - jnp.log(value))
        return sticks + own - self.concentration.divergence(factor["shape"], factor["rate"])

    def draw_factor(self, rng, counts, factor, n_draws):
        after = np.cumsum(counts[::-1])[::-1] - counts
        value = factor["shape"] / factor["rate"] if factor else self.concentration
        b = self._second(value, len(counts) - 1)
        shapes = np.stack([1.0 - self.discount + counts[:-1], b + after[:-1]])
        log_broken, log_kept = np.swapaxes(host_log_gamma(rng, np.tile(shapes, (n_draws, 1, 1))), 0, 1)
        total = np.logaddexp(log_broken, log_kept)
        log_weights = log_weights_of(log_broken - total, log_kept - total)
        if not factor:
            return log_weights, {}
        return log_weights, {"concentration": rng.gamma(factor["shape"], 1.0 / factor["rate"], n_draws)}

    # ---- what is said of the prior

    def draw_weights(self, rng: np.random.Generator, n_components: int, n_draws: int) -> np.ndarray:
        value = sample_concentration(self.concentration, rng, n_draws)
        b = value[:, None] + float(self.discount) * np.arange(1, n_components)
        sticks = rng.beta(1.0 - float(self.discount), b)
        left = np.cumprod(np.hstack([np.ones((n_draws, 1)), 1.0 - sticks]), axis=1)
        return np.hstack([sticks, np.ones((n_draws, 1))]) * left

    def remarks(self, weights: np.ndarray) -> tuple[str, ...]:
        last = float(weights[:, -1].mean())
        if weights.shape[1] == 1 or last <= LAST_STICK:
            return ()
        return (
            f"The last of the {weights.shape[1]} sticks holds {last:.1%} of the weight on average: the truncation is "
            "too small, and what it cuts off is forced into that stick. Raise truncation.",
        )


def log_weights_of(log_sticks: Array, log_rests: Array) -> Array:
    """Log weights (..., T) from the logarithms of T - 1 sticks and of what each leaves."""
    xp = namespace(log_sticks)
    nothing = xp.zeros((*log_sticks.shape[:-1], 1), log_sticks.dtype)
    left = xp.concatenate([nothing, xp.cumsum(log_rests, axis=-1)], axis=-1)
    return left + xp.concatenate([log_sticks, nothing], axis=-1)
