"""Conjugate components whose common centre, and how closely they gather about it, are random."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp

from bayesgmm.covariances import Array, Structure, namespace
from bayesgmm.gamma_draws import draw_log_gamma
from bayesgmm.models.components.component_prior import (
    POINTS,
    ComponentPrior,
    DataMoments,
    as_vector,
    check_numbers,
)
from bayesgmm.models.components.normal_inverse_wishart import NormalInverseWishart

FLAT = 10.0  # ranges of the data that stand for a flat prior of the centre


class RandomCentre(ComponentPrior):
    r"""A :class:`.NormalInverseWishart` with hyperpriors on its mean and its mean precision.

    .. math:: \mu_k \mid \Sigma_k \sim N(m, \Sigma_k / \kappa), \qquad m \sim N(m_0, diag(s^2)), \qquad
        \kappa \sim Gamma(a, b)

    The hierarchy of Escobar & West (1995), where tau = 1 / kappa. Hyperparameters left None: m_0 the data's mean and
    s ten of its ranges, which is flat for every practical purpose.

    Attributes
    ----------
    base : whose ``dof`` and ``scale`` are used; its ``mean`` and ``mean_precision`` are not
    shape, rate : a and b of kappa, above 0
    mean : m_0, (D,) or number
    mean_scale : s, (D,) or number
    """

    base: Any = dataclasses.field(default_factory=NormalInverseWishart)
    shape: Any = 0.5
    rate: Any = 50.0
    mean: Any = None
    mean_scale: Any = None

    centre_site: ClassVar[str] = "centre"
    precision_site: ClassVar[str] = "mean_precision"

    def __post_init__(self):
        if not isinstance(self.base, NormalInverseWishart):
            raise TypeError(f"Expected base to be NormalInverseWishart(); got {type(self.base).__name__}.")
        check_numbers("shape", self.shape, above=0.0)
        check_numbers("rate", self.rate, above=0.0)

    def resolve(self, structure: Structure, n_components: int, moments: DataMoments) -> RandomCentre:
        d = moments.mean.shape[0]
        flat = FLAT * (moments.high - moments.low)
        xp = namespace(self.shape, self.rate)
        return RandomCentre(
            self.base.resolve(structure, n_components, moments),
            xp.asarray(self.shape, float),
            xp.asarray(self.rate, float),
            moments.mean if self.mean is None else as_vector("mean", self.mean, d),
            flat if self.mean_scale is None else as_vector("mean_scale", self.mean_scale, d, above=0.0),
        )

    def rescale(self, structure, factor, shift):
        base = self.base.rescale(structure, factor, shift)
        return RandomCentre(base, self.shape, self.rate, self.mean * factor + shift, self.mean_scale * factor)

    def sites(self, structure, n_components, n_features):
        centre = numpyro.sample(self.centre_site, dist.Normal(self.mean, self.mean_scale).to_event(1))
        kappa = numpyro.sample(self.precision_site, dist.Gamma(self.shape, self.rate))
        return self._given(centre, kappa).sites(structure, n_components, n_features)

    def _given(self, centre: Array, kappa: Array) -> NormalInverseWishart:
        return NormalInverseWishart(centre, kappa, self.base.dof, self.base.scale)

    def to_sites(self, structure, means, covariances):
        xp = namespace(means)
        kappa = xp.broadcast_to(self.shape / self.rate, means.shape[:-2])
        hyper = {self.centre_site: means.mean(axis=-2), self.precision_site: kappa}
        return {**hyper, **self.base.to_sites(structure, means, covariances)}

    def from_sites(self, structure, sites):
        return self.base.from_sites(structure, sites)

    # ---- Gibbs

    def log_marginal_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        """Log density, the centre in closed form given kappa, and kappa by quadrature."""
        k, d = means.shape
        base = self.base
        inverse = structure.invert(covariances)
        precisions = structure.dense(inverse.matrix, k, d)
        log_det = jnp.sum(jnp.linalg.slogdet(precisions)[1])
        total, pulled = precisions.sum(axis=0), jnp.einsum("kij,kj->i", precisions, means)
        square = jnp.einsum("ki,kij,kj->", means, precisions, means)
        middle = jnp.linalg.solve(total, pulled)
        shape, rate = self.shape + 0.5 * (k - 1) * d, self.rate + 0.5 * (square - pulled @ middle)
        width = jnp.linspace(-30.0 / jnp.minimum(shape, 30.0) - 2.0, 5.0, POINTS)
        u = jnp.log(jnp.maximum(shape, 0.5) / rate) + width

        def given(log_kappa: Array) -> Array:
            kappa, own = jnp.exp(log_kappa), self.mean_scale**-2.0
            information = jnp.diag(own) + kappa * total
            linear = own * self.mean + kappa * pulled
            quadratic = (
                kappa * square + jnp.sum(own * self.mean**2) - linear @ jnp.linalg.solve(information, linear)
            )
            dets = log_det + k * d * log_kappa + jnp.sum(jnp.log(own)) - jnp.linalg.slogdet(information)[1]
            log_gamma = (
                self.shape * (jnp.log(self.rate) + log_kappa) - gammaln(self.shape) - self.rate * kappa
            )
            return log_gamma + 0.5 * (dets - k * d * jnp.log(2 * jnp.pi) - quadratic)

        integral = logsumexp(jax.vmap(given)(u))
        return integral + jnp.log(u[1] - u[0]) + structure.log_prior(covariances, base.dof, base.scale)

    def check_gibbs(self):
        """Every conditional is known."""

    def initial_state(self, structure, n_features):
        return {self.centre_site: self.mean, self.precision_site: self.shape / self.rate}

    def at(self, state):
        return self._given(state[self.centre_site], state[self.precision_site])

    def draw_state(self, key, structure, means, covariances, occupied, state):
        """Centre given mean precision, then mean precision given centre, from the occupied components."""
        key_centre, key_precision = jax.random.split(key)
        k, d = means.shape
        precisions = structure.dense(structure.invert(covariances).matrix, k, d) * occupied[:, None, None]
        kappa, own = state[self.precision_site], self.mean_scale**-2.0
        information = jnp.diag(own) + kappa * precisions.sum(axis=0)
        pulled = own * self.mean + kappa * jnp.einsum("kij,kj->i", precisions, means)
        tril = jnp.linalg.cholesky(information)
        solve = jax.scipy.linalg.solve_triangular
        noise = jax.random.normal(key_centre, (d,), means.dtype)
        centre = solve(tril, solve(tril, pulled, lower=True) + noise, lower=True, trans=1)
        apart = means - centre
        rate = self.rate + 0.5 * jnp.einsum("ki,kij,kj->", apart, precisions, apart)
        shape = self.shape + 0.5 * d * jnp.sum(occupied)
        return {
            self.centre_site: centre,
            self.precision_site: jnp.exp(draw_log_gamma(key_precision, shape)) / rate,
        }

    def state_in_units(self, structure, state, factor, shift):
        return {**state, self.centre_site: state[self.centre_site] * factor + shift}


def escobar_west() -> RandomCentre:
    """The component prior of Escobar & West (1995) for the galaxy velocities in 1000 km/s.

    sigma^-2 ~ Gamma(2, 1), mu | sigma^2 ~ N(m, tau sigma^2), 1 / tau ~ Gamma(.5, 50), m flat (here normal, about the
    data's mean, ten ranges wide). They pair it with a Dirichlet process of concentration ``weights.Gamma(2, 4)``. These
    are numbers for those data, not scaled to any other. (In their notation s = 4, S = 2, w = 1, W = 100.)
    """
    return RandomCentre(NormalInverseWishart(dof=4.0, scale=2.0))
