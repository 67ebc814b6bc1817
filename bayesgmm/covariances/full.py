"""Every component its own covariance matrix."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpyro.distributions as dist

from bayesgmm.covariances import dense
from bayesgmm.covariances.structure import LOG_2PI, Moments, Natural, Precision, Structure, namespace


@dataclasses.dataclass(frozen=True)
class Full(Structure):
    """Covariances (K, D, D); features [1, x, vech(xx')]."""

    name = "full"
    description = "each with its own covariance"
    dims = ("component", "feature", "feature_bis")
    precision_site = "precision_tril"

    def covariance_shape(self, n_components, n_features):
        return (n_components, n_features, n_features)

    def n_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def rows_needed(self, n_features):
        return n_features + 2

    def features(self, x):
        return dense.quadratic_features(x)

    def natural(self, log_weights, means, precision):
        xp = namespace(means)
        linear = xp.einsum("...kij,...kj->...ki", precision.matrix, means)
        d = means.shape[-1]
        constant = log_weights - 0.5 * d * LOG_2PI + precision.half_log_det - 0.5 * xp.sum(linear * means, -1)
        quadratic = dense.quadratic_coefficients(precision.matrix)
        eta = xp.concatenate([constant[..., None], linear, quadratic], axis=-1)
        return Natural(eta, xp.zeros((*eta.shape[:-2], 0), eta.dtype))

    def moments(self, statistics, shared_total, n_features):
        xp = namespace(statistics)
        counts, sums, vech = xp.split(statistics, [1, 1 + n_features], axis=-1)
        return Moments(counts[..., 0], sums, dense.from_vech(vech, n_features))

    def invert(self, covariances):
        return dense.invert(covariances)

    def covariances(self, precision):
        return dense.invert(precision.matrix).matrix

    def outer(self, vectors, weights):
        return weights[..., None, None] * vectors[..., :, None] * vectors[..., None, :]

    def row_degrees(self, counts, n_features):
        return counts[..., None, None]

    def prior_degrees(self, dof, n_components, n_features):
        return dof + n_features + 2.0

    def regularise(self, covariances, amount):
        xp = namespace(covariances)
        return covariances + xp.diag(amount)

    def where_component(self, keep, covariances, other):
        xp = namespace(keep)
        return xp.where(keep[..., None, None], covariances, other)

    def permute(self, covariances, order):
        xp = namespace(covariances)
        return xp.take_along_axis(covariances, order[..., None, None], axis=-3)

    def rescale(self, covariances, factor):
        return covariances * factor[:, None] * factor

    def project(self, matrices):
        return matrices

    def dense(self, covariances, n_components, n_features):
        return covariances

    def prior_scale(self, covariance):
        return covariance

    def scale_second(self, scale, n_components, n_features):
        xp = namespace(scale)
        return xp.broadcast_to(scale, (n_components, n_features, n_features))

    def precision_prior(self, dof, scale, n_components, n_features):
        return dist.WishartCholesky(dof, rate_matrix=scale).expand([n_components]).to_event(1)

    def precision_from_site(self, value):
        return dense.precision_from_tril(value)

    def precision_to_site(self, covariances):
        return dense.tril_of_inverse(covariances)

    def log_prior(self, covariances, dof, scale):
        return jnp.sum(dense.log_inverse_wishart(covariances, dof, scale), axis=-1)

    def draw_covariances(self, key, dof, scale):
        return dense.draw_inverse_wishart(key, dof, scale)

    def sample_covariances(self, rng, dof, scale, n_draws):
        return dense.sample_inverse_wishart(rng, dof, scale, n_draws)

    def expected_precision(self, dof, scale):
        return dense.expected_precision(dof, scale)

    def log_normaliser(self, dof, scale):
        return jnp.sum(dense.log_normaliser(dof, scale), axis=-1)

    def log_student(self, x, centre, counts, dof, scale):
        return dense.log_student(x, centre, counts, dof, scale)

    def scale_shape(self, n_components, n_features):
        return (n_components, n_features)

    def correlation_shape(self, n_components, n_features):
        return (n_components,) if n_features > 1 else None

    def precision_from_scales(self, scales, correlation_tril):
        xp = namespace(scales)
        if correlation_tril is None:
            return Precision(1.0 / scales[..., None] ** 2, -xp.log(scales[..., 0]))
        return dense.precision_from_scales(scales, correlation_tril)

    def scales_from(self, covariances):
        scales, tril = dense.scales_from(covariances)
        return scales, (tril if covariances.shape[-1] > 1 else None)
