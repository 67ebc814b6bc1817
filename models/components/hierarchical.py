"""Independent components whose spread about their centre is random, feature by feature."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp

from bayesgmm.covariances import Array, Structure
from bayesgmm.models.components.component_prior import POINTS, ComponentPrior, DataMoments, check_numbers
from bayesgmm.models.components.independent import Independent
from bayesgmm.models.weights.concentration import metropolis


class Hierarchical(ComponentPrior):
    r"""An :class:`Independent` prior whose means shrink towards its centre where the features do not tell them apart.

    .. math:: \mu_{kj} \sim N(m_j, \lambda_j s_j^2), \qquad \lambda_j \sim Gamma(\nu_1, \nu_2)

    The normal-gamma prior of Yau & Holmes (2011) and Malsiner-Walli et al. (2016), who take both parameters .5: a
    feature in which the components coincide gets a small lambda, and its means are pulled together.

    Attributes
    ----------
    base : prior of the means about their centre at lambda 1, and of the covariances
    shape, rate : nu_1 and nu_2, above 0
    """

    base: Any = dataclasses.field(default_factory=Independent)
    shape: Any = 0.5
    rate: Any = 0.5

    spread_site: ClassVar[str] = "mean_spread"

    def __post_init__(self):
        if not isinstance(self.base, Independent):
            raise TypeError(f"Expected base to be Independent(); got {type(self.base).__name__}.")
        check_numbers("shape", self.shape, above=0.0)
        check_numbers("rate", self.rate, above=0.0)

    @property
    def scale_site(self) -> str:
        """Name of the random scale's site."""
        return self.base.scale_site

    @property
    def n_features(self) -> int:
        return self.base.n_features

    def _with(self, base: Independent) -> Hierarchical:
        return Hierarchical(base, self.shape, self.rate)

    def resolve(self, structure: Structure, n_components: int, moments: DataMoments) -> Hierarchical:
        base = self.base.resolve(structure, n_components, moments)
        # Resolved once more while it is traced, a number is an array of JAX's.
        shape, rate = (
            v if isinstance(v, jax.Array) else np.asarray(v, float) for v in (self.shape, self.rate)
        )
        return Hierarchical(base, shape, rate)

    def rescale(self, structure, factor, shift):
        return self._with(self.base.rescale(structure, factor, shift))

    def sites(self, structure, n_components, n_features):
        prior = dist.Gamma(self.shape, self.rate).expand([n_features]).to_event(1)
        return self._spread(numpyro.sample(self.spread_site, prior)).sites(
            structure, n_components, n_features
        )

    def _spread(self, value: Any) -> Independent:
        base = self.base
        spread = base.mean_scale * jnp.sqrt(value)
        return Independent(base.mean, spread, base.dof, base.scale, base.scale_dof, base.scale_rate)

    def to_sites(self, structure, means, covariances):
        ones = np.ones((*means.shape[:-2], means.shape[-1]))
        return {self.spread_site: ones, **self.base.to_sites(structure, means, covariances)}

    def from_sites(self, structure, sites):
        return self.base.from_sites(structure, sites)

    # ---- Gibbs

    def log_marginal_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        r"""Log density; quadrature of lambda_j: :math:`\int Ga(\lambda) \prod_k N(\mu_{kj} | m_j, \lambda s_j^2)`."""
        base, (k, d) = self.base, means.shape
        shape, rate = self.shape, self.rate
        squares = jnp.sum(((means - base.mean) / base.mean_scale) ** 2, axis=0) + np.finfo(float).tiny
        low = jnp.minimum(jnp.log(squares) - 5.0, 0.5 * jnp.log(squares / rate) - 3.0)
        high = jnp.log(60.0 / rate + 10.0 * jnp.sqrt(squares / rate))
        u = low + (high - low) * jnp.linspace(0.0, 1.0, POINTS)[:, None]
        value = jnp.exp(u)
        log_gamma = shape * jnp.log(rate) - gammaln(shape) + shape * u - rate * value
        log_normal = (
            -0.5 * k * (u + jnp.log(2 * jnp.pi)) - k * jnp.log(base.mean_scale) - 0.5 * squares / value
        )
        integrals = logsumexp(log_gamma + log_normal, axis=0) + jnp.log((high - low) / (POINTS - 1))
        return jnp.sum(integrals) + base.log_covariances(structure, covariances, d)

    def check_gibbs(self):
        """Every conditional is known, or one-dimensional."""

    def initial_state(self, structure, n_features):
        return {self.spread_site: np.ones(n_features), **self.base.initial_state(structure, n_features)}

    def at(self, state):
        return self._spread(state[self.spread_site]).at(state)

    def draw_state(self, key, structure, means, covariances, occupied, state):
        """Each lambda by Metropolis given the occupied means, then the scale of the covariances."""
        key_spread, key_scale = jax.random.split(key)
        offset = (means - self.base.mean) / self.base.mean_scale
        squares = jnp.sum(jnp.where(occupied[:, None], offset**2, 0.0), axis=0)
        n_occupied = jnp.sum(occupied)

        def one(key: Any, value: Any, square: Any) -> Any:
            def log_density(v: Any) -> Any:
                prior = dist.Gamma(self.shape, self.rate).log_prob(v)
                return prior - 0.5 * n_occupied * jnp.log(v) - 0.5 * square / v

            return metropolis(key, log_density, value)

        keys = jax.random.split(key_spread, means.shape[-1])
        spread = jax.vmap(one)(keys, state[self.spread_site], squares)
        rest = self.base.draw_state(key_scale, structure, means, covariances, occupied, state)
        return {**rest, self.spread_site: spread}

    def state_in_units(self, structure, state, factor, shift):
        return {
            **self.base.state_in_units(structure, state, factor, shift),
            self.spread_site: state[self.spread_site],
        }


def malsiner_walli(shrink: bool = True) -> Hierarchical | Independent:
    """The component prior of Malsiner-Walli, Fruehwirth-Schnatter & Gruen (2016), from the data alone.

    In D dimensions, with median b_0 and range R_j of feature j: mu_k ~ N(b_0, diag(lambda_j R_j^2)), lambda_j ~
    Gamma(.5, .5); Sigma_k^-1 ~ W(c_0, C_0), C_0 ~ W(g_0, G_0), c_0 = 2.5 + (D - 1)/2, g_0 = .5 + (D - 1)/2, G_0 =
    100 g_0 / c_0 diag(1 / R_j^2), in their parametrisation of the Wishart (half degrees). Their b_0 has a flat prior
    about the median; it is fixed at the median here, so that the prior is proper. Fruehwirth-Schnatter et al. (2021)
    use it with every lambda_j fixed at 1: ``shrink=False``.
    """
    base = Independent(mean=_median, dof=_dof, scale_dof=_scale_dof)
    return Hierarchical(base) if shrink else base


def _median(moments: DataMoments) -> Any:
    return moments.median


def _dof(moments: DataMoments) -> float:
    return 5.0 + moments.mean.shape[0] - 1.0


def _scale_dof(moments: DataMoments) -> float:
    return 1.0 + moments.mean.shape[0] - 1.0
