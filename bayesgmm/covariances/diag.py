"""Every component its own variances, features independent within a component."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from bayesgmm.covariances import inverse_gamma
from bayesgmm.covariances.structure import LOG_2PI, Moments, Natural, Precision, Structure, namespace


@dataclasses.dataclass(frozen=True)
class Diag(Structure):
    """Covariances (K, D); features [1, x, x^2]."""

    name = "diag"
    description = "each with its own axis-aligned covariance"
    dims = ("component", "feature")
    precision_site = "precisions"
    correlates = False

    def covariance_shape(self, n_components, n_features):
        return (n_components, n_features)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features

    def rows_needed(self, n_features):
        return 3

    def features(self, x):
        xp = namespace(x)
        one_and_x = xp.concatenate([xp.ones_like(x[:1]), x])
        i = np.arange(x.shape[0] + 1)
        # [1, x] times [1, 1], then x times x: gathered, since joining computed pieces is slower.
        return one_and_x[np.r_[i, i[1:]]] * one_and_x[np.r_[0 * i, i[1:]]]

    def natural(self, log_weights, means, precision):
        xp = namespace(means)
        linear = precision.matrix * means
        d = means.shape[-1]
        constant = log_weights - 0.5 * d * LOG_2PI + precision.half_log_det - 0.5 * xp.sum(linear * means, -1)
        eta = xp.concatenate([constant[..., None], linear, -0.5 * precision.matrix], axis=-1)
        return Natural(eta, xp.zeros((*eta.shape[:-2], 0), eta.dtype))

    def moments(self, statistics, shared_total, n_features):
        xp = namespace(statistics)
        counts, sums, squares = xp.split(statistics, [1, 1 + n_features], axis=-1)
        return Moments(counts[..., 0], sums, squares)

    def invert(self, covariances):
        xp = namespace(covariances)
        return Precision(1.0 / covariances, -0.5 * xp.sum(xp.log(covariances), axis=-1))

    def covariances(self, precision):
        return 1.0 / precision.matrix

    def outer(self, vectors, weights):
        return weights[..., None] * vectors**2

    def row_degrees(self, counts, n_features):
        return counts[..., None]

    def prior_degrees(self, dof, n_components, n_features):
        return dof + 3.0

    def regularise(self, covariances, amount):
        return covariances + amount

    def where_component(self, keep, covariances, other):
        xp = namespace(keep)
        return xp.where(keep[..., None], covariances, other)

    def permute(self, covariances, order):
        xp = namespace(covariances)
        return xp.take_along_axis(covariances, order[..., None], axis=-2)

    def rescale(self, covariances, factor):
        return covariances * factor**2

    def project(self, matrices):
        xp = namespace(matrices)
        return xp.diagonal(matrices, axis1=-2, axis2=-1)

    def dense(self, covariances, n_components, n_features):
        xp = namespace(covariances)
        return covariances[..., None] * xp.eye(n_features, dtype=covariances.dtype)

    def prior_scale(self, covariance):
        xp = namespace(covariance)
        return xp.diagonal(covariance)

    def scale_second(self, scale, n_components, n_features):
        xp = namespace(scale)
        return xp.broadcast_to(scale, (n_components, n_features))

    def precision_prior(self, dof, scale, n_components, n_features):
        return dist.Gamma(0.5 * dof, 0.5 * scale).expand([n_components, n_features]).to_event(2)

    def precision_from_site(self, value):
        xp = namespace(value)
        return Precision(value, 0.5 * xp.sum(xp.log(value), axis=-1))

    def precision_to_site(self, covariances):
        return 1.0 / covariances

    def log_prior(self, covariances, dof, scale):
        return jnp.sum(inverse_gamma.log_inverse_gamma(covariances, dof, scale), axis=(-2, -1))

    def draw_covariances(self, key, dof, scale):
        return inverse_gamma.draw_inverse_gamma(key, dof, scale)

    def sample_covariances(self, rng, dof, scale, n_draws):
        return inverse_gamma.sample_inverse_gamma(rng, dof, scale, n_draws)

    def expected_precision(self, dof, scale):
        matrix, half_log = inverse_gamma.expected_precision(dof, scale)
        return Precision(matrix, jnp.sum(half_log, axis=-1))

    def log_normaliser(self, dof, scale):
        return jnp.sum(inverse_gamma.log_normaliser(dof, scale), axis=(-2, -1))

    def log_student(self, x, centre, counts, dof, scale):
        square = (x - centre[..., None]) ** 2
        each = inverse_gamma.log_student(square, 1, counts[:, None, None], dof[..., None], scale[..., None])
        return jnp.sum(each, axis=-2)

    def scale_shape(self, n_components, n_features):
        return (n_components, n_features)

    def precision_from_scales(self, scales, correlation_tril):
        xp = namespace(scales)
        return Precision(scales**-2.0, -xp.sum(xp.log(scales), axis=-1))

    def scales_from(self, covariances):
        xp = namespace(covariances)
        return xp.sqrt(covariances), None
