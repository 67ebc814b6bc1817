"""Means and covariances independent a priori, the scale of the covariances perhaps random."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from bayesgmm.covariances import Array, Structure, namespace
from bayesgmm.covariances.structure import LOG_2PI
from bayesgmm.models.components.component_prior import ComponentPrior, DataMoments, as_vector, check_numbers
from bayesgmm.models.components.normal_inverse_wishart import NormalInverseWishart
from bayesgmm.models.components.own_scale import inverse_of_scale, own_shape, scale_from_site

NEAR_PRECISION = 0.01  # rows that the prior mean is worth in the conjugate prior near this one


class Independent(ComponentPrior):
    r"""Normal means, inverse-Wishart covariances, independent of one another; for Gibbs and for NUTS.

    .. math:: \mu_k \sim N(m, diag(s^2)), \qquad \Sigma_k \sim IW(\nu, \Lambda), \qquad
        \Lambda \text{ fixed, or } \Lambda \sim W(\nu_0, G^{-1})

    For ``diag`` and ``spherical`` every variance is InvGamma(:math:`\nu/2, \lambda/2`) and a random scale
    :math:`\lambda \sim Gamma(\nu_0/2, G/2)`, so that in one dimension sigma^-2 ~ Gamma(alpha, beta), beta ~ Gamma(g, h)
    of Richardson & Green (1997) is :math:`\nu = 2 \alpha, \lambda = 2 \beta, \nu_0 = 2 g, G = h`.

    Hyperparameters left None are Richardson & Green's, from the range R of each feature: mean its middle, mean_scale
    R, alpha 2, beta ~ Gamma(.2, 10 / R^2). Where covariances are matrices, half a degree a further feature is added to
    alpha and g, as in Malsiner-Walli et al. (2016). Give ``scale``, and the scale is fixed. A hyperparameter may
    also be a function of the :class:`DataMoments`.

    Attributes
    ----------
    mean : (D,) or number
    mean_scale : (D,) or number, standard deviations
    dof : nu, above D - 1
    scale : Lambda in the structure's own form ((D, D); (D,) for diag, a number for spherical); None makes it random
    scale_dof : nu_0, above D - 1
    scale_rate : G, in the same form as ``scale``
    """

    mean: Any = None
    mean_scale: Any = None
    dof: Any = None
    scale: Any = None
    scale_dof: Any = None
    scale_rate: Any = None

    scale_site: ClassVar[str] = "component_scale"

    def __post_init__(self):
        if self.scale is not None and not (self.scale_dof is None and self.scale_rate is None):
            raise ValueError("Expected either scale, which fixes it, or scale_dof and scale_rate; got both.")

    def resolve(self, structure: Structure, n_components: int, moments: DataMoments) -> Independent:
        given = {
            name: value(moments) if callable(value) else value
            for name, value in ((f, getattr(self, f)) for f in self.__dataclass_fields__)
        }
        d = moments.mean.shape[0]
        extent = moments.high - moments.low
        own = own_shape(structure, d)
        more = d - 1.0 if len(own) == 2 else 0.0  # matrices need as many degrees as features
        mean = moments.low + 0.5 * extent if given["mean"] is None else as_vector("mean", given["mean"], d)
        spread = given["mean_scale"]
        spread = extent if spread is None else as_vector("mean_scale", spread, d, above=0.0)
        dof = _number("dof", 4.0 + more if given["dof"] is None else given["dof"], above=more)
        if given["scale"] is not None:
            return Independent(mean, spread, dof, _own_scale("scale", structure, given["scale"], d))
        scale_dof = given["scale_dof"]
        scale_dof = _number("scale_dof", 0.4 + more if scale_dof is None else scale_dof, above=more)
        rate = given["scale_rate"]
        if rate is None:  # 100 g / (alpha R^2), which in one dimension is their 10 / R^2
            xp = namespace(extent)
            rate = (
                100.0
                * (scale_dof / dof)
                * inverse_of_scale(structure, structure.prior_scale(xp.diag(extent**2)), d)
            )
        rate = _own_scale("scale_rate", structure, rate, d)
        return Independent(mean, spread, dof, None, scale_dof, rate)

    def rescale(self, structure, factor, shift):
        mean, spread = self.mean * factor + shift, self.mean_scale * factor
        if self.scale is not None:
            return Independent(mean, spread, self.dof, structure.rescale(self.scale, factor))
        rate = structure.rescale(self.scale_rate, 1.0 / factor)
        return Independent(mean, spread, self.dof, None, self.scale_dof, rate)

    # ---- the NumPyro program

    def _scale_prior(self, structure: Structure, n_features: int) -> dist.Distribution:
        """Of the one random scale: the Wishart (gammas) of a structure with one component."""
        return structure.precision_prior(self.scale_dof, self.scale_rate, 1, n_features)

    def sites(self, structure, n_components, n_features):
        scale = self.scale
        if scale is None:
            value = numpyro.sample(self.scale_site, self._scale_prior(structure, n_features))
            scale = scale_from_site(structure, value, n_features)
        prior = dist.Normal(self.mean, self.mean_scale).expand([n_components, n_features]).to_event(2)
        means = numpyro.sample("means", prior)
        prior = structure.precision_prior(self.dof, scale, n_components, n_features)
        return means, structure.precision_from_site(numpyro.sample(structure.precision_site, prior))

    def to_sites(self, structure, means, covariances):
        sites = {"means": means, structure.precision_site: structure.precision_to_site(covariances)}
        if self.scale is None:
            sites[self.scale_site] = self._scale_to_site(structure, covariances, means.shape[-1])
        return sites

    def _scale_to_site(self, structure: Structure, covariances: Array, n_features: int) -> Array:
        """The site of the scale's conditional mean given the covariances."""
        xp = namespace(covariances)
        own = own_shape(structure, n_features)
        lead = covariances.ndim - len(structure.covariance_shape(1, n_features))
        precisions = structure.invert(covariances).matrix
        precisions = precisions.reshape(*precisions.shape[:lead], -1, *own)
        m = precisions.shape[lead]
        rate = self.scale_rate + precisions.sum(axis=lead)
        one = structure.covariance_shape(1, n_features)
        inverse = structure.invert(rate.reshape(*rate.shape[:lead], *one)).matrix
        mean = (self.scale_dof + m * self.dof) * inverse
        return structure.precision_to_site(structure.invert(xp.asarray(mean)).matrix)

    def from_sites(self, structure, sites):
        return sites["means"], structure.precision_from_site(sites[structure.precision_site])

    def log_prior(self, structure, means, covariances):
        if self.scale is None:
            return super().log_prior(structure, means, covariances)
        normal = dist.Normal(self.mean, self.mean_scale).log_prob(means).sum(axis=(-2, -1))
        return normal + structure.log_prior(covariances, self.dof, self.scale)

    # ---- Gibbs

    def log_marginal_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        """Log density of means and covariances, a random scale integrated out."""
        normal = jnp.sum(dist.Normal(self.mean, self.mean_scale).log_prob(means))
        return normal + self.log_covariances(structure, covariances, means.shape[-1])

    def log_covariances(self, structure: Structure, covariances: Array, n_features: int) -> Array:
        """Log density of an inverse Wishart whose scale is fixed or random.

        A random scale is integrated out by Besag's (1989) identity, ``p(S) = p(S | L) p(L) / p(L | S)`` at any L; both
        densities of L are written for its inverse, whose Jacobian cancels.
        """
        if self.scale is not None:
            return structure.log_prior(covariances, self.dof, self.scale)
        own = own_shape(structure, n_features)
        precisions = structure.invert(covariances).matrix.reshape(-1, *own)
        rate = self.scale_rate + precisions.sum(axis=0)
        dof = self.scale_dof + precisions.shape[0] * self.dof
        inverse = structure.scale_second(rate / dof, 1, n_features)  # of the conditional mean of L
        scale = structure.invert(inverse).matrix.reshape(own)
        before = structure.log_prior(inverse, self.scale_dof, self.scale_rate)
        after = structure.log_prior(inverse, dof, rate)
        return structure.log_prior(covariances, self.dof, scale) + before - after

    def check_gibbs(self):
        """Every conditional is known."""

    def initial_state(self, structure, n_features):
        if self.scale is not None:
            return {}
        # Its prior mean: nu_0 G^-1.
        return {self.scale_site: self.scale_dof * inverse_of_scale(structure, self.scale_rate, n_features)}

    def at(self, state):
        if self.scale is not None:
            return self
        return Independent(self.mean, self.mean_scale, self.dof, state[self.scale_site])

    def draw_state(self, key, structure, means, covariances, occupied, state):
        """Scale | covariances ~ W(nu_0 + m nu, (G + sum of precisions)^-1) over the m covariances in use."""
        if self.scale is not None:
            return state
        d = means.shape[-1]
        own = own_shape(structure, d)
        precisions = structure.invert(covariances).matrix
        used = structure.where_component(occupied, precisions, jnp.zeros_like(precisions)).reshape(-1, *own)
        ones = jnp.ones_like(precisions)
        m = (
            structure.where_component(occupied, ones, jnp.zeros_like(ones))
            .reshape(-1, *own)
            .sum(axis=0)
            .ravel()[0]
        )
        rate = structure.scale_second(self.scale_rate + used.sum(axis=0), 1, d)
        inverse = structure.draw_covariances(key, self.scale_dof + m * self.dof, rate)
        return {**state, self.scale_site: structure.invert(inverse).matrix.reshape(own)}

    def draw(self, key, structure, moments, means):
        """Covariances given the means, then means given the covariances."""
        k, d = means.shape
        key_covariances, key_means = jax.random.split(key)
        occupied = moments.counts > 0
        centre = moments.sums / jnp.where(occupied, moments.counts, 1.0)[:, None]
        within = moments.second - structure.outer(centre, moments.counts)
        scatter = within + structure.outer(centre - means, moments.counts)
        scale = structure.scale_second(self.scale, k, d) + scatter
        degrees = self.dof + structure.row_degrees(moments.counts, d)
        covariances = structure.draw_covariances(key_covariances, degrees, scale)
        precisions = structure.dense(structure.invert(covariances).matrix, k, d)
        return self._draw_means(key_means, precisions, moments.counts, centre), covariances

    def conjugate_near(self):
        """The same covariances; means spread by a multiple of them, so widely that the multiple hardly matters."""
        return NormalInverseWishart(self.mean, NEAR_PRECISION, self.dof, self.scale)

    def log_excess(self, structure, means, covariances):
        """Covariances have one prior in both: what differs is the means'."""
        own = jnp.sum(dist.Normal(self.mean, self.mean_scale).log_prob(means), axis=-1)
        precision = structure.invert(covariances)
        away = means - self.mean
        inverses = structure.dense(precision.matrix, *means.shape)
        square = NEAR_PRECISION * jnp.einsum("ki,kij,kj->k", away, inverses, away)
        constant = 0.5 * means.shape[-1] * (jnp.log(NEAR_PRECISION) - LOG_2PI)
        return own - (constant + precision.half_log_det - 0.5 * square)

    def _draw_means(self, key: Array, precisions: Array, counts: Array, centre: Array) -> Array:
        own = self.mean_scale**-2.0
        information = jnp.diag(own) + counts[:, None, None] * precisions
        pulled = own * self.mean + counts[:, None] * jnp.einsum("kij,kj->ki", precisions, centre)
        tril = jnp.linalg.cholesky(information)
        half = jax.lax.linalg.triangular_solve(tril, pulled[..., None], left_side=True, lower=True)
        noise = jax.random.normal(key, half.shape, half.dtype)
        solve = jax.lax.linalg.triangular_solve
        return solve(tril, half + noise, left_side=True, lower=True, transpose_a=True)[..., 0]

    def state_in_units(self, structure, state, factor, shift):
        if self.scale is not None:
            return state
        return {**state, self.scale_site: structure.rescale(state[self.scale_site], factor)}


def richardson_green() -> Independent:
    """The prior of Richardson & Green (1997) on components, from the range of the data alone.

    Midrange and range R: mu ~ N(midrange, R^2), sigma^-2 ~ Gamma(2, beta), beta ~ Gamma(.2, 10 / R^2). Theirs is for
    one dimension; beyond it see :class:`Independent`.
    """
    return Independent()


def chib() -> Independent:
    """The prior of Chib (1995) for the galaxy velocities in 1000 km/s: mu ~ N(20, 100), sigma^2 ~ InvGamma(3, 20).

    These are numbers for those data, not scaled to any other.
    """
    return Independent(mean=20.0, mean_scale=10.0, dof=6.0, scale=40.0)


def _number(name: str, value: Any, above: float) -> Array:
    check_numbers(name, value, above)
    if np.ndim(value) > 0:
        raise ValueError(f"Expected {name} to be one number; got shape {np.shape(value)}.")
    return namespace(value).asarray(value, float)


def _own_scale(name: str, structure: Structure, value: Any, n_features: int) -> Array:
    """A scale given as a number, in the structure's own form, or as a (D, D) matrix."""
    check_numbers(name, value)
    xp = namespace(value) if hasattr(value, "shape") else np
    value = xp.asarray(value, float)
    own = own_shape(structure, n_features)
    if value.ndim == 0 and len(own) == 2:
        value = value * xp.eye(n_features)
    if value.shape == (n_features, n_features) and len(own) < 2:
        value = structure.prior_scale(value)
    if value.ndim == 0:
        value = xp.broadcast_to(value, own)
    if value.shape != own:
        raise ValueError(f"Expected {name} of shape {own} for {structure.name}; got {value.shape}.")
    if xp is np and not _is_definite(value):
        raise ValueError(
            f"Expected {name} to be symmetric and positive definite (positive where not a matrix)."
        )
    return value


def _is_definite(value: np.ndarray) -> bool:
    if value.ndim < 2:
        return bool(np.min(value) > 0)
    return bool(np.allclose(value, value.T) and np.linalg.eigvalsh(value).min() > 0)
