"""One covariance matrix for all components."""

from __future__ import annotations

import dataclasses

import numpyro.distributions as dist

from bayesgmm.covariances import dense
from bayesgmm.covariances.structure import LOG_2PI, Moments, Natural, Precision, Structure, namespace


@dataclasses.dataclass(frozen=True)
class Tied(Structure):
    """Covariances (D, D); the quadratic part cancels between components, so features are [1, x] alone."""

    name = "tied"
    description = "sharing one covariance"
    dims = ("feature", "feature_bis")
    precision_site = "precision_tril"

    def covariance_shape(self, n_components, n_features):
        return (n_features, n_features)

    def n_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def rows_needed(self, n_features):
        return 1

    def features(self, x):
        xp = namespace(x)
        return xp.concatenate([xp.ones_like(x[:1]), x])

    def shared_features(self, x):
        return dense.vech_features(x)

    def natural(self, log_weights, means, precision):
        xp = namespace(means)
        linear = xp.einsum("...ij,...kj->...ki", precision.matrix, means)
        half_log_det = precision.half_log_det[..., None]
        d = means.shape[-1]
        constant = log_weights - 0.5 * d * LOG_2PI + half_log_det - 0.5 * xp.sum(linear * means, -1)
        eta = xp.concatenate([constant[..., None], linear], axis=-1)
        return Natural(eta, dense.quadratic_coefficients(precision.matrix))

    def moments(self, statistics, shared_total, n_features):
        return Moments(statistics[..., 0], statistics[..., 1:], dense.from_vech(shared_total, n_features))

    def invert(self, covariances):
        return dense.invert(covariances)

    def covariances(self, precision):
        return dense.invert(precision.matrix).matrix

    def outer(self, vectors, weights):
        xp = namespace(vectors)
        return xp.einsum("...k,...ki,...kj->...ij", weights, vectors, vectors)

    def row_degrees(self, counts, n_features):
        xp = namespace(counts)
        return xp.sum(counts, axis=-1)[..., None, None]

    def prior_degrees(self, dof, n_components, n_features):
        return dof + n_components + n_features + 1.0

    def regularise(self, covariances, amount):
        xp = namespace(covariances)
        return covariances + xp.diag(amount)

    def where_component(self, keep, covariances, other):
        xp = namespace(keep)
        return xp.where(xp.any(keep, axis=-1)[..., None, None], covariances, other)

    def permute(self, covariances, order):
        return covariances

    def rescale(self, covariances, factor):
        return covariances * factor[:, None] * factor

    def project(self, matrices):
        xp = namespace(matrices)
        return xp.mean(matrices, axis=-3)

    def dense(self, covariances, n_components, n_features):
        xp = namespace(covariances)
        lead = covariances.shape[:-2]
        return xp.broadcast_to(covariances[..., None, :, :], (*lead, n_components, n_features, n_features))

    def prior_scale(self, covariance):
        return covariance

    def scale_second(self, scale, n_components, n_features):
        return scale

    def precision_prior(self, dof, scale, n_components, n_features):
        return dist.WishartCholesky(dof, rate_matrix=scale)

    def precision_from_site(self, value):
        return dense.precision_from_tril(value)

    def precision_to_site(self, covariances):
        return dense.tril_of_inverse(covariances)

    def log_prior(self, covariances, dof, scale):
        return dense.log_inverse_wishart(covariances, dof, scale)

    def draw_covariances(self, key, dof, scale):
        return dense.draw_inverse_wishart(key, dof, scale)

    def sample_covariances(self, rng, dof, scale, n_draws):
        return dense.sample_inverse_wishart(rng, dof, scale, n_draws)

    def expected_precision(self, dof, scale):
        return dense.expected_precision(dof, scale)

    def log_normaliser(self, dof, scale):
        return dense.log_normaliser(dof, scale)

    def log_student(self, x, centre, counts, dof, scale):
        return dense.log_student(x, centre, counts, dof, scale)

    def scale_shape(self, n_components, n_features):
        return (n_features,)

    def correlation_shape(self, n_components, n_features):
        return () if n_features > 1 else None

    def precision_from_scales(self, scales, correlation_tril):
        xp = namespace(scales)
        if correlation_tril is None:
            return Precision(1.0 / scales[..., None] ** 2, -xp.log(scales[..., 0]))
        return dense.precision_from_scales(scales, correlation_tril)

    def scales_from(self, covariances):
        scales, tril = dense.scales_from(covariances)
        return scales, (tril if covariances.shape[-1] > 1 else None)
