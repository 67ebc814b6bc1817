"""The conjugate family: normal means given the covariance, inverse-Wishart covariances."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Float
from numpyro.distributions import constraints

from bayesgmm.covariances import Array, Moments, Precision, PseudoMoments, Structure, namespace
from bayesgmm.covariances.structure import LOG_2PI
from bayesgmm.models.components.component_prior import ComponentPrior, DataMoments, as_vector, check_numbers

SINGULAR = 1e-13  # least eigenvalue of a correlation matrix that rounding leaves of zero


class NormalInverseWishart(ComponentPrior):
    r"""Conjugate prior of Gaussian components.

    .. math:: \mu_k \mid \Sigma_k \sim N(m, \Sigma_k / \kappa), \qquad \Sigma_k \sim IW(\nu, \Lambda)

    For ``tied`` there is one :math:`\Sigma`; for ``diag`` and ``spherical`` every variance is
    InvGamma(:math:`\nu/2, \lambda/2`).

    Hyperparameters left None take the data-scaled values of Fraley & Raftery (2007, section 3):
    ``mean`` the data's, ``mean_precision`` 0.01, ``dof`` D + 2, ``scale`` the data's covariance over
    K^(2/D). (For ``diag`` they use one common variance; here each feature has its own, so that the prior follows
    a change of units.)

    Attributes
    ----------
    mean : (D,) or number
    mean_precision : kappa, how many rows the prior mean is worth
    dof : nu, above D - 1
    scale : Lambda, (D, D), or in the structure's own form: (D,) for diag, a number for spherical
    """

    conjugate: ClassVar[bool] = True

    mean: Any = None
    mean_precision: Any = None
    dof: Any = None
    scale: Any = None

    def resolve(self, structure: Structure, n_components: int, moments: DataMoments) -> NormalInverseWishart:
        d = moments.mean.shape[0]
        spread = moments.covariance / n_components ** (2.0 / d)
        return NormalInverseWishart(
            moments.mean if self.mean is None else as_vector("mean", self.mean, d),
            _number("mean_precision", 0.01 if self.mean_precision is None else self.mean_precision),
            _number("dof", d + 2.0 if self.dof is None else self.dof, above=d - 1.0),
            structure.prior_scale(spread) if self.scale is None else _scale(structure, self.scale, d),
        )

    def rescale(self, structure, factor, shift):
        scale = structure.rescale(self.scale, factor)
        return NormalInverseWishart(self.mean * factor + shift, self.mean_precision, self.dof, scale)

    def sites(self, structure, n_components, n_features):
        prior = structure.precision_prior(self.dof, self.scale, n_components, n_features)
        precision = structure.precision_from_site(numpyro.sample(structure.precision_site, prior))
        loc = jnp.broadcast_to(self.mean, (n_components, n_features))
        means = numpyro.sample("means", ConditionalMeans(structure, loc, precision, self.mean_precision))
        return means, precision

    def to_sites(self, structure, means, covariances):
        return {"means": means, structure.precision_site: structure.precision_to_site(covariances)}

    def from_sites(self, structure, sites):
        return sites["means"], structure.precision_from_site(sites[structure.precision_site])

    def pseudo_moments(self, structure, n_components, n_features):
        counts = jnp.full(n_components, self.mean_precision)
        loc = jnp.broadcast_to(self.mean, (n_components, n_features))
        second = structure.outer(loc, counts) + structure.scale_second(self.scale, n_components, n_features)
        degrees = structure.prior_degrees(self.dof, n_components, n_features)
        return PseudoMoments(Moments(counts, loc * counts[:, None], second), degrees)

    def log_prior(self, structure, means, covariances):
        loc = jnp.broadcast_to(self.mean, means.shape)
        conditional = ConditionalMeans(structure, loc, structure.invert(covariances), self.mean_precision)
        return conditional.log_prob(means) + structure.log_prior(covariances, self.dof, self.scale)

    def log_marginal_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        """The prior has no random hyperparameter: its density."""
        return self.log_prior(structure, means, covariances)

    def check_gibbs(self):
        """Every hyperparameter is fixed and every conditional known."""

    def conditional(self, structure: Structure, moments: Moments) -> Conditional:
        """The conjugate posterior given the moments of each component (Murphy 2007, section 8)."""
        k, d = moments.sums.shape
        prior_counts = jnp.full(k, self.mean_precision)
        loc = jnp.broadcast_to(self.mean, moments.sums.shape)
        counts = moments.counts + prior_counts
        centre = (moments.sums + loc * prior_counts[:, None]) / counts[:, None]
        second = moments.second + structure.outer(loc, prior_counts) - structure.outer(centre, counts)
        scale = structure.scale_second(self.scale, k, d) + second
        return Conditional(centre, counts, self.dof + structure.row_degrees(moments.counts, d), scale)

    def draw(self, key, structure, moments, means):
        """The conjugate posterior: covariances with the means integrated out, then means."""
        k, d = means.shape
        key_covariances, key_means = jax.random.split(key)
        centre, counts, degrees, scale = self.conditional(structure, moments)
        covariances = structure.draw_covariances(key_covariances, degrees, scale)
        tril = jnp.linalg.cholesky(structure.dense(covariances, k, d))
        noise = jax.random.normal(key_means, means.shape, means.dtype) / jnp.sqrt(counts)[:, None]
        return centre + jnp.einsum("kij,kj->ki", tril, noise), covariances

    # ---- CAVI

    def check_cavi(self):
        """Conjugate; but the scale that the data give is singular where the rows do not span the features."""
        if np.ndim(self.scale) == 2 and _least_eigenvalue(np.asarray(self.scale)) < SINGULAR:
            raise ValueError(
                "Expected rows that span the features, since the default scale of the prior is their covariance, which "
                "is singular here (no more rows than features, or features that depend on each other). Give "
                "NormalInverseWishart(scale=...) a definite one, drop features, or use covariance_type='diag'."
            )

    def expected_natural(self, structure, log_weights, moments):
        """E[log N] is that of a Gaussian at the expected precision, less D / (2 counts) (Bishop 2006, 10.64)."""
        centre, counts, dof, scale = self.conditional(structure, moments)
        precision = structure.expected_precision(dof, scale)
        return structure.natural(log_weights - 0.5 * centre.shape[-1] / counts, centre, precision)

    def log_evidence(self, structure, moments):
        """Ratio of the normalisers after and before (Murphy 2007, section 9)."""
        k, d = moments.sums.shape
        _, counts, dof, scale = self.conditional(structure, moments)
        before = structure.scale_second(self.scale, k, d)
        prior_dof = self.dof + structure.row_degrees(jnp.zeros(k), d)
        ratio = structure.log_normaliser(dof, scale) - structure.log_normaliser(prior_dof, before)
        means = jnp.sum(jnp.log(self.mean_precision) - jnp.log(counts))
        return ratio + 0.5 * d * (means - LOG_2PI * jnp.sum(moments.counts))

    def log_predictive(self, structure, moments, x):
        return structure.log_student(x, *self.conditional(structure, moments))

    def sample_conditional(self, rng, structure, conditional, n_draws):
        centre, counts, dof, scale = conditional
        covariances = structure.sample_covariances(rng, dof, scale, n_draws)
        tril = np.linalg.cholesky(structure.dense(covariances, *centre.shape))
        noise = rng.standard_normal((n_draws, *centre.shape)) / np.sqrt(counts)[:, None]
        return centre + np.einsum("skij,skj->ski", tril, noise), covariances

    def expected_components(self, structure, moments):
        centre, _, dof, scale = self.conditional(structure, moments)
        return centre, scale / dof


class Conditional(NamedTuple):
    """The conjugate posterior: mu | Sigma ~ N(centre, Sigma / counts), Sigma ~ IW(dof, scale).

    ``scale`` is shaped like the covariances and ``dof`` broadcasts to it.
    """

    centre: Float[Array, "k d"]
    counts: Float[Array, " k"]
    dof: Array
    scale: Array


class ConditionalMeans(dist.Distribution):
    """K means given their covariances: ``N(loc_k, Sigma_k / mean_precision)``, as one event (K, D)."""

    support = constraints.real_matrix
    pytree_data_fields = ("loc", "precision", "mean_precision")
    pytree_aux_fields = ("structure",)

    def __init__(self, structure, loc, precision: Precision, mean_precision, *, validate_args=None):
        self.structure, self.loc, self.precision, self.mean_precision = (
            structure,
            loc,
            precision,
            mean_precision,
        )
        super().__init__((), loc.shape, validate_args=validate_args)

    def log_prob(self, value: Array) -> Array:
        k, d = self.loc.shape
        precision = self.structure.temper(self.precision, self.mean_precision, d)
        centred = value - self.loc
        eta, shared = self.structure.natural(jnp.zeros(k, value.dtype), jnp.zeros_like(centred), precision)
        own = jnp.sum(eta * self.structure.features(centred.T).T)
        return own + jnp.sum(shared @ self.structure.shared_features(centred.T))

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        k, d = self.loc.shape
        covariances = self.structure.dense(self.structure.covariances(self.precision), k, d)
        tril = jnp.linalg.cholesky(covariances / self.mean_precision)
        noise = jax.random.normal(key, (*sample_shape, k, d), self.loc.dtype)
        return self.loc + jnp.einsum("kij,...kj->...ki", tril, noise)


def fraley_raftery() -> NormalInverseWishart:
    """The data-scaled conjugate prior of Fraley & Raftery (2007), mclust's ``priorControl()``."""
    return NormalInverseWishart()


def _number(name: str, value, above: float = 0.0) -> Array:
    check_numbers(name, value, above)
    if np.ndim(value) > 0:
        raise ValueError(f"Expected {name} to be one number; got shape {np.shape(value)}.")
    return namespace(value).asarray(value, float)


def _scale(structure: Structure, scale, n_features: int) -> Array:
    check_numbers("scale", scale)
    xp = namespace(scale) if hasattr(scale, "shape") else np
    scale = xp.asarray(scale, float)
    if xp is np:
        _check_definite(scale)
    own = np.shape(structure.prior_scale(np.eye(n_features)))
    if scale.shape == (n_features, n_features):
        return structure.prior_scale(scale)
    if scale.shape == own or scale.ndim == 0:
        return xp.broadcast_to(scale, own) if len(own) < 2 else scale * xp.eye(n_features)
    raise ValueError(
        f"Expected scale of shape {(n_features, n_features)} or {own} for {structure.name}; got {scale.shape}."
    )


def _least_eigenvalue(scale: np.ndarray) -> float:
    """The least eigenvalue of the scale matrix, as that of a correlation matrix: in no units."""
    deviations = np.sqrt(np.diagonal(scale))
    return float(np.linalg.eigvalsh(scale / np.outer(deviations, deviations))[0])


def _check_definite(scale: Array) -> None:
    square = scale.ndim == 2 and scale.shape[0] == scale.shape[1]
    smallest = np.linalg.eigvalsh(scale).min() if square and np.allclose(scale, scale.T) else np.min(scale)
    if not smallest > 0 or (square and not np.allclose(scale, scale.T)):
        raise ValueError(
            "Expected scale to be symmetric and positive definite (positive where not a matrix)."
        )
