"""Every component one variance, the same in all directions."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpyro.distributions as dist

from bayesgmm.covariances import inverse_gamma
from bayesgmm.covariances.structure import LOG_2PI, Moments, Natural, Precision, Structure, namespace


@dataclasses.dataclass(frozen=True)
class Spherical(Structure):
    """Covariances (K,); features [1, x, |x|^2]."""

    name = "spherical"
    description = "each round, with its own variance"
    dims = ("component",)
    precision_site = "precisions"
    common_scale = True
    correlates = False

    def covariance_shape(self, n_components, n_features):
        return (n_components,)

    def n_parameters(self, n_components, n_features):
        return n_components

    def rows_needed(self, n_features):
        return 3

    def features(self, x):
        xp = namespace(x)
        return xp.concatenate([xp.ones_like(x[:1]), x, xp.sum(x**2, axis=0, keepdims=True)])

    def natural(self, log_weights, means, precision):
        xp = namespace(means)
        linear = precision.matrix[..., None] * means
        d = means.shape[-1]
        constant = (
            log_weights - 0.5 * d * LOG_2PI + d * precision.half_log_det - 0.5 * xp.sum(linear * means, -1)
        )
        eta = xp.concatenate([constant[..., None], linear, -0.5 * precision.matrix[..., None]], axis=-1)
        return Natural(eta, xp.zeros((*eta.shape[:-2], 0), eta.dtype))

    def moments(self, statistics, shared_total, n_features):
        return Moments(statistics[..., 0], statistics[..., 1:-1], statistics[..., -1])

    def invert(self, covariances):
        xp = namespace(covariances)
        # Half the log determinant of one direction; `natural`, which knows D, counts the directions.
        return Precision(1.0 / covariances, -0.5 * xp.log(covariances))

    def covariances(self, precision):
        return 1.0 / precision.matrix

    def outer(self, vectors, weights):
        xp = namespace(vectors)
        return weights * xp.sum(vectors**2, axis=-1)

    def row_degrees(self, counts, n_features):
        return counts * n_features

    def prior_degrees(self, dof, n_components, n_features):
        return dof + n_features + 2.0

    def regularise(self, covariances, amount):
        xp = namespace(covariances)
        return covariances + xp.mean(amount)

    def where_component(self, keep, covariances, other):
        xp = namespace(keep)
        return xp.where(keep, covariances, other)

    def permute(self, covariances, order):
        xp = namespace(covariances)
        return xp.take_along_axis(covariances, order, axis=-1)

    def rescale(self, covariances, factor):
        return covariances * factor[0] ** 2

    def project(self, matrices):
        xp = namespace(matrices)
        return xp.mean(xp.diagonal(matrices, axis1=-2, axis2=-1), axis=-1)

    def dense(self, covariances, n_components, n_features):
        xp = namespace(covariances)
        return covariances[..., None, None] * xp.eye(n_features, dtype=covariances.dtype)

    def prior_scale(self, covariance):
        xp = namespace(covariance)
        return xp.mean(xp.diagonal(covariance))

    def scale_second(self, scale, n_components, n_features):
        xp = namespace(scale)
        return xp.broadcast_to(scale, (n_components,))

    def precision_prior(self, dof, scale, n_components, n_features):
        return dist.Gamma(0.5 * dof, 0.5 * scale).expand([n_components]).to_event(1)

    def precision_from_site(self, value):
        xp = namespace(value)
        return Precision(value, 0.5 * xp.log(value))

    def precision_to_site(self, covariances):
        return 1.0 / covariances

    def log_prior(self, covariances, dof, scale):
        return jnp.sum(inverse_gamma.log_inverse_gamma(covariances, dof, scale), axis=-1)

    def temper(self, precision, factor, n_features):
        xp = namespace(precision.matrix)
        return Precision(precision.matrix * factor, precision.half_log_det + 0.5 * xp.log(factor))

    def feature_scales(self, values):
        xp = namespace(values)
        return xp.sqrt(xp.mean(values**2))

    def draw_covariances(self, key, dof, scale):
        return inverse_gamma.draw_inverse_gamma(key, dof, scale)

    def sample_covariances(self, rng, dof, scale, n_draws):
        return inverse_gamma.sample_inverse_gamma(rng, dof, scale, n_draws)

    def expected_precision(self, dof, scale):
        return Precision(*inverse_gamma.expected_precision(dof, scale))

    def log_normaliser(self, dof, scale):
        return jnp.sum(inverse_gamma.log_normaliser(dof, scale), axis=-1)

    def log_student(self, x, centre, counts, dof, scale):
        square = jnp.sum((x - centre[..., None]) ** 2, axis=-2)
        return inverse_gamma.log_student(
            square, x.shape[0], counts[:, None], dof[..., None], scale[..., None]
        )

    def scale_shape(self, n_components, n_features):
        return (n_components,)

    def precision_from_scales(self, scales, correlation_tril):
        xp = namespace(scales)
        return Precision(scales**-2.0, -xp.log(scales))

    def scales_from(self, covariances):
        xp = namespace(covariances)
        return xp.sqrt(covariances), None
