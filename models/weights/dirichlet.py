"""Symmetric Dirichlet weights: the finite mixture."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import digamma, gammaln, logsumexp

from bayesgmm.covariances import Array, namespace
from bayesgmm.gamma_draws import draw_log_gamma, host_log_gamma
from bayesgmm.models.weights.weight_prior import WeightDraw, WeightPrior

LEAST_CLIMBED = 0.2  # concentration


class Dirichlet(WeightPrior):
    """``weights ~ Dirichlet(concentration, ..., concentration)``.

    The default concentration of 1 is uniform on the simplex (Richardson & Green 1997); for two components it is
    Beta(concentration, concentration).
    """

    concentration: Any = 1.0

    def __post_init__(self):
        value = self.concentration
        if isinstance(value, jax.Array):
            return  # perhaps traced: its value is not known here
        if (
            isinstance(value, bool)
            or (not np.isscalar(value) and np.ndim(value) > 0)
            or value is None
            or isinstance(value, str)
        ):
            raise TypeError(f"Expected concentration to be one number above 0; got {value!r}.")
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"Expected a finite concentration above 0; got {value!r}.")

    def resolve(self) -> Dirichlet:
        """The same with an array inside, so that engines trace it rather than compile it in."""
        return Dirichlet(namespace(self.concentration).asarray(self.concentration, float))

    def sites(self, n_components: int) -> Array:
        """Sample the site ``weights``; log weights (K,). One component leaves nothing to sample."""
        if n_components == 1:
            return jnp.log(numpyro.deterministic("weights", jnp.ones(1)))
        prior = dist.Dirichlet(jnp.full(n_components, self.concentration))
        return jnp.log(numpyro.sample("weights", prior))

    def to_sites(self, log_weights: Array) -> dict[str, Array]:
        """The site's value; a weight of exactly zero is lifted, since the simplex's interior is the support."""
        if log_weights.shape[-1] == 1:
            return {}
        xp = namespace(log_weights)
        weights = xp.maximum(xp.exp(log_weights), 1e-8)
        return {"weights": weights / xp.sum(weights, axis=-1, keepdims=True)}

    def from_sites(self, sites: dict[str, Array]) -> Array:
        """Log weights; inverse of :meth:`to_sites`."""
        return namespace(sites["weights"]).log(sites["weights"])

    def pseudo_counts(self) -> Array:
        """What the posterior mode of the weights adds to each count."""
        return self.concentration - 1.0

    def bounded(self) -> Dirichlet:
        """Below a concentration of 1 the density is infinite wherever a weight is zero."""
        return Dirichlet(np.maximum(self.concentration, 1.0))

    def log_prior(self, log_weights: Array) -> Array:
        """Log density at the weights, with respect to Lebesgue measure on the first K - 1 of them."""
        k = log_weights.shape[-1]
        a = jnp.asarray(self.concentration)
        # A weight of exactly zero under a uniform prior contributes nothing (0 times minus infinity otherwise).
        powers = jnp.where(a == 1.0, 0.0, (a - 1.0) * log_weights)
        return jnp.sum(powers, axis=-1) + gammaln(k * a) - k * gammaln(a)

    def draw(self, key: Array, counts: Array, state: dict[str, Array]) -> WeightDraw:
        """Weights given the counts: the Dirichlet of concentrations ``concentration + counts``."""
        order = jnp.arange(counts.shape[-1])
        return WeightDraw(order, draw_log_dirichlet(key, self.concentration + counts), state)

    def check_gradients(self):
        """An empty component's weight is below w with probability about w to the power of the concentration.

        NumPyro's simplex tells no weight from zero below 1e-16; above .2 that befalls an empty component less than once
        in a thousand draws.
        """
        if float(self.concentration) < LEAST_CLIMBED:
            raise ValueError(
                f"Expected a concentration of at least {LEAST_CLIMBED} for HMC and NUTS; got "
                f"{float(self.concentration):g}, under which empty components have weights too small for their "
                "coordinates. Use Gibbs()."
            )

    # ---- CAVI: the Dirichlet of concentrations ``concentration + counts``

    def check_cavi(self):
        """Conjugate."""

    def expected_log(self, counts, factor):
        posterior = self.concentration + counts
        return digamma(posterior) - digamma(jnp.sum(posterior))

    def log_expected(self, counts, factor):
        posterior = self.concentration + counts
        return jnp.log(posterior) - jnp.log(jnp.sum(posterior))

    def log_evidence(self, counts, factor):
        k, a = counts.shape[-1], jnp.asarray(self.concentration)
        each = jnp.sum(gammaln(a + counts) - gammaln(a))
        return each + gammaln(k * a) - gammaln(k * a + jnp.sum(counts))

    def draw_factor(self, rng, counts, factor, n_draws):
        scores = host_log_gamma(rng, np.tile(self.concentration + counts, (n_draws, 1)))
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), {}

    def draw_weights(self, rng: np.random.Generator, n_components: int, n_draws: int) -> np.ndarray:
        """Weights (S, K) from the prior."""
        return dirichlet_weights(rng, np.full((n_draws, n_components), float(self.concentration)))


def draw_log_dirichlet(key: Array, concentrations: Array) -> Array:
    """Logarithm of Dirichlet weights (..., K); exact also where tiny concentrations underflow on the natural scale."""
    scores = draw_log_gamma(key, concentrations)
    return scores - logsumexp(scores, axis=-1, keepdims=True)


def dirichlet_weights(rng: np.random.Generator, concentrations: np.ndarray) -> np.ndarray:
    """Dirichlet weights (S, K) on the host, by logarithms of gammas."""
    scores = host_log_gamma(rng, concentrations)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)
