"""A Gaussian mixture as an immutable pytree, and as a NumPyro distribution on the kernel."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float
from numpyro.distributions import constraints

from bayesgmm.covariances import Array, Natural, Precision, Structure, get_structure, namespace
from bayesgmm.kernel import log_density_of_rows
from bayesgmm.pytree import PyTree, static


class Mixture(PyTree):
    """Weights, means and covariances of K Gaussians; leading axes are restarts, chains or draws.

    Attributes
    ----------
    structure : the covariance structure
    log_weights : (..., K)
    means : (..., K, D)
    covariances : ``(..., *structure.covariance_shape(K, D))``
    """

    structure: Structure = static()
    log_weights: Float[Array, "*lead k"]
    means: Float[Array, "*lead k d"]
    covariances: Array

    @classmethod
    def from_parameters(cls, weights, means, covariances, covariance_type: str = "full") -> Mixture:
        """Build from arrays in scikit-learn's shapes; weights are normalised.

        Raises
        ------
        ValueError
            If shapes do not go together, weights are below 0 or all 0, or covariances are not positive definite.
        """
        structure = get_structure(covariance_type)
        weights, means, covariances = (np.asarray(a, float) for a in (weights, means, covariances))
        expected = structure.covariance_shape(*means.shape[-2:])
        if covariances.shape[means.ndim - 2 :] != expected:
            raise ValueError(
                f"Expected covariances of shape {expected} for covariance_type={structure.name!r}; "
                f"got {covariances.shape}."
            )
        if weights.shape != means.shape[:-1]:
            raise ValueError(
                f"Expected weights of shape {means.shape[:-1]}, one a mean; got {weights.shape}."
            )
        if not (np.all(np.isfinite(weights)) and np.all(weights >= 0) and np.all(np.isfinite(means))):
            raise ValueError("Expected weights of at least 0 and finite means; got others.")
        if not np.all(weights.sum(axis=-1) > 0):
            raise ValueError("Expected weights of which one at least is above 0; all are 0.")
        dense = np.asarray(structure.dense(covariances, *means.shape[-2:]))
        if not np.all(np.isfinite(dense)) or not np.all(np.linalg.eigvalsh(dense)[..., 0] > 0):
            raise ValueError("Expected covariances that are finite and positive definite; got others.")
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights / weights.sum(axis=-1, keepdims=True))
        return cls(structure, log_weights, means, covariances)

    @property
    def n_components(self) -> int:
        """K."""
        return self.means.shape[-2]

    @property
    def n_features(self) -> int:
        """D."""
        return self.means.shape[-1]

    @property
    def n_parameters(self) -> int:
        """Free parameters: K - 1 weights, K D means, and the structure's covariances."""
        k, d = self.n_components, self.n_features
        return k - 1 + k * d + self.structure.n_parameters(k, d)

    def natural(self) -> Natural:
        """Natural parameters, for the kernel."""
        return self.structure.natural(self.log_weights, self.means, self.structure.invert(self.covariances))

    def rescale(self, factor: Float[Array, " d"], shift: Float[Array, " d"]) -> Mixture:
        """The mixture of ``factor * x + shift``."""
        covariances = self.structure.rescale(self.covariances, factor)
        return Mixture(self.structure, self.log_weights, self.means * factor + shift, covariances)

    def at_draws(self, index: Array) -> Mixture:
        """Some of the draws on the first axis."""
        return jax.tree.map(lambda leaf: leaf[index], self)

    def with_slots(self, n_components: int) -> Mixture:
        """The mixture (on the host) with absent components, of weight zero, added up to a number of slots."""
        k = self.n_components
        if k >= n_components:
            return self
        padded = self.permute(np.minimum(np.arange(n_components), k - 1))
        absent = np.where(np.arange(n_components) < k, padded.log_weights, -np.inf)
        return Mixture(self.structure, absent, padded.means, padded.covariances)

    def permute(self, order: Array) -> Mixture:
        """The components in another order (..., K'); fewer indices than components drop the others."""
        xp = namespace(self.means)
        return Mixture(
            self.structure,
            xp.take_along_axis(self.log_weights, order, axis=-1),
            xp.take_along_axis(self.means, order[..., None], axis=-2),
            self.structure.permute(self.covariances, order),
        )


class MixtureDistribution(dist.Distribution):
    """The mixture as a NumPyro distribution over rows of D features; assignments are summed out.

    Rows are centred before the features are formed (second moments of raw rows lose their digits when the
    data lie far from the origin); the shift cancels exactly, so the density is unchanged.
    """

    support = constraints.real_vector
    pytree_data_fields = ("log_weights", "means", "precision")
    pytree_aux_fields = ("structure",)

    def __init__(self, structure, log_weights, means, precision: Precision, *, validate_args=None):
        self.structure, self.log_weights, self.means, self.precision = (
            structure,
            log_weights,
            means,
            precision,
        )
        super().__init__((), (means.shape[-1],), validate_args=validate_args)

    def log_prob(self, value: Float[Array, "*n d"]) -> Float[Array, "*n"]:
        rows = value.reshape(-1, value.shape[-1])
        centre = jax.lax.stop_gradient(jnp.mean(rows, axis=0))
        natural = self.structure.natural(self.log_weights, self.means - centre, self.precision)
        natural = Natural(natural.eta[None], natural.shared[None])
        return log_density_of_rows(self.structure, natural, rows - centre)[0].reshape(value.shape[:-1])

    def sample(self, key, sample_shape=()):
        key_label, key_row = jax.random.split(key)
        labels = jax.random.categorical(key_label, self.log_weights, shape=sample_shape)
        covariances = self.structure.covariances(self.precision)
        dense = self.structure.dense(covariances, *self.means.shape[-2:])
        tril = jnp.linalg.cholesky(dense)
        noise = jax.random.normal(key_row, (*sample_shape, self.means.shape[-1]), self.means.dtype)
        return self.means[labels] + jnp.einsum("...ij,...j->...i", tril[labels], noise)
