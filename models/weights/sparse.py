"""Sparse finite mixtures: more slots than clusters, and a small concentration that empties the spare ones."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln

from bayesgmm.covariances import Array
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
from bayesgmm.models.weights.dirichlet import Dirichlet, dirichlet_weights, draw_log_dirichlet
from bayesgmm.models.weights.gamma import Gamma
from bayesgmm.models.weights.weight_prior import WeightDraw, WeightPrior


class SparseDirichlet(WeightPrior):
    r"""Symmetric Dirichlet weights of a small concentration, fixed or random.

    .. math:: w \sim Dirichlet(e_0, \dots, e_0), \qquad e_0 \text{ fixed, or } e_0 \sim Gamma(a, b)

    With e_0 well below half the parameters of a component, the slots that the data do not need empty
    (Rousseau & Mengersen 2011). Malsiner-Walli, Fruehwirth-Schnatter & Gruen (2016) fix it near 0.01 or give it
    Gamma(10, 10 K), so that its mean is 1 / K.

    Raises a TypeError or ValueError for a concentration that is neither a positive number nor a prior of one.
    """

    overfits: ClassVar[bool] = True

    concentration: Concentration = 0.01

    def __post_init__(self):
        check_concentration("concentration", self.concentration)

    def resolve(self) -> SparseDirichlet:
        return SparseDirichlet(resolve_concentration(self.concentration))

    def sites(self, n_components: int) -> Array:
        value = concentration_site("concentration", self.concentration)
        if n_components == 1:
            return jnp.log(numpyro.deterministic("weights", jnp.ones(1)))
        return jnp.log(numpyro.sample("weights", dist.Dirichlet(jnp.full(n_components, value))))

    def to_sites(self, log_weights: Array) -> dict[str, Array]:
        sites = Dirichlet().to_sites(log_weights)
        if isinstance(self.concentration, ConcentrationPrior):
            sites["concentration"] = np.broadcast_to(self.concentration.mean, log_weights.shape[:-1])
        return sites

    def from_sites(self, sites: dict[str, Array]) -> Array:
        return Dirichlet().from_sites(sites)

    def log_prior(self, log_weights: Array) -> Array:
        return Dirichlet(jnp.asarray(self.concentration)).log_prior(log_weights)

    def initial_state(self) -> dict[str, Array]:
        return initial_concentration(self.concentration)

    def at(self, state: dict[str, Array]) -> SparseDirichlet:
        return SparseDirichlet(state["concentration"]) if state else self

    def draw(self, key: Array, counts: Array, state: dict[str, Array]) -> WeightDraw:
        """Concentration by Metropolis with the weights integrated out, then the weights."""
        key_concentration, key_weights = jax.random.split(key)
        k, total = counts.shape[-1], jnp.sum(counts)
        prior = self.concentration

        def log_density(a: Array) -> Array:
            counted = gammaln(counts + a) - gammaln(a)
            return prior.log_prob(a) + gammaln(k * a) - gammaln(k * a + total) + jnp.sum(counted)

        if state:
            value = metropolis(key_concentration, log_density, state["concentration"])
            state = {"concentration": value}
        value = self.at(state).concentration
        return WeightDraw(jnp.arange(k), draw_log_dirichlet(key_weights, value + counts), state)

    # ---- CAVI: the Dirichlet's, the concentration being fixed

    def check_cavi(self):
        if isinstance(self.concentration, ConcentrationPrior):
            raise ValueError(
                "A random concentration of a Dirichlet is not conjugate, so CAVI cannot fit it. Give "
                "concentration as a number, sample the model with Gibbs(), or use "
                "models.dirichlet_process_mixture, whose concentration may be Gamma."
            )

    def _dirichlet(self) -> Dirichlet:
        return Dirichlet(jnp.asarray(self.concentration))

    def expected_log(self, counts, factor):
        return self._dirichlet().expected_log(counts, factor)

    def log_expected(self, counts, factor):
        return self._dirichlet().log_expected(counts, factor)

    def log_evidence(self, counts, factor):
        return self._dirichlet().log_evidence(counts, factor)

    def draw_factor(self, rng, counts, factor, n_draws):
        return Dirichlet(self.concentration).draw_factor(rng, counts, factor, n_draws)

    def draw_weights(self, rng: np.random.Generator, n_components: int, n_draws: int) -> np.ndarray:
        value = sample_concentration(self.concentration, rng, n_draws)
        return dirichlet_weights(rng, np.repeat(value[:, None], n_components, axis=1))

    def remarks(self, weights: np.ndarray) -> tuple[str, ...]:
        return spare_slot_remark(weights)


def spare_slot_remark(weights: np.ndarray) -> tuple[str, ...]:
    """Words where no slot was left to spare, so that the number of slots, not the data, bounds the clusters."""
    smallest = float(np.mean(weights.min(axis=1) > 0.01))
    if smallest < 0.05:
        return ()
    return (
        f"All {weights.shape[1]} components hold more than 1 % of the weight in {smallest:.0%} of the draws: "
        "there is none to spare. Raise n_components.",
    )


def default_concentration(n_components: int) -> Any:
    """The Gamma(10, 10 K) prior of Malsiner-Walli et al. (2016), whose mean is 1 / K."""
    return Gamma(10.0, 10.0 * n_components)
