"""What a covariance structure has to offer, and the small types that pass between it and the kernel.

A structure is a formula, not a state: every method is a pure function of arrays with any number of leading
axes (restarts, chains, draws). Adding one is a new file beside this, a line in the registry and a line in
``tests/cases.py``; nothing outside asks which structure it holds.
"""

from __future__ import annotations

import abc
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float

LOG_2PI = 1.8378770664093453

# Host and device arrays alike; a type checker that cannot follow both APIs at once takes neither.
if TYPE_CHECKING:
    Array = Any
else:
    Array = jax.Array | np.ndarray | np.generic


def namespace(*arrays: Array | float) -> ModuleType:
    """NumPy for host arrays, jax.numpy else: the same formula on the host compiles nothing."""
    host = all(isinstance(a, np.ndarray | np.generic | float | int) for a in arrays)
    return np if host else jnp


class Precision(NamedTuple):
    """An inverse covariance and half the logarithm of its determinant, in the structure's own shape."""

    matrix: Array
    half_log_det: Array


class Natural(NamedTuple):
    """Natural parameters: ``log w_k + log N(x | k) = eta_k . features(x) + shared . shared_features(x)``."""

    eta: Float[Array, "*lead k p"]
    shared: Float[Array, "*lead q"]


class Moments(NamedTuple):
    """Weighted counts, sums and raw second moments of the rows of each component.

    ``second`` has the shape of the structure's covariances: ``sum r x x'`` (full; summed over the components
    for tied), ``sum r x^2`` (diag), ``sum r |x|^2`` (spherical).
    """

    counts: Float[Array, "*lead k"]
    sums: Float[Array, "*lead k d"]
    second: Array


class PseudoMoments(NamedTuple):
    """What a conjugate prior adds to the moments, and to the divisor of the covariances."""

    moments: Moments
    degrees: Array


class Structure(abc.ABC):
    """A covariance structure. ``K`` components, ``D`` features, ``B`` rows of a block; leading axes free."""

    name: str
    description: str
    """How components' covariances relate, in a few words that follow "components"."""
    dims: tuple[str, ...]
    """Names of the axes of the covariances."""

    @abc.abstractmethod
    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of the covariances, as in scikit-learn: (K, D, D), (D, D), (K, D) or (K,)."""

    @abc.abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the covariances alone."""

    @abc.abstractmethod
    def rows_needed(self, n_features: int) -> int:
        """Rows that a component must hold for its own covariance to be more than an accident of them."""

    # ---- the kernel: features and natural parameters

    @abc.abstractmethod
    def features(self, x: Float[Array, "d b"]) -> Float[Array, "p b"]:
        """Sufficient statistics of each row (a column here) that differ between components."""

    def shared_features(self, x: Float[Array, "d b"]) -> Float[Array, "q b"]:
        """Sufficient statistics whose coefficient all components share; none unless overridden."""
        return x[:0]

    @abc.abstractmethod
    def natural(
        self, log_weights: Float[Array, "*lead k"], means: Float[Array, "*lead k d"], precision: Precision
    ) -> Natural:
        """Natural parameters of ``sum_k w_k N(mean_k, precision_k^-1)``."""

    @abc.abstractmethod
    def moments(
        self, statistics: Float[Array, "*lead k p"], shared_total: Float[Array, " q"], n_features: int
    ) -> Moments:
        """Moments from the kernel's statistics and from the total of the shared features."""

    @abc.abstractmethod
    def invert(self, covariances: Array) -> Precision:
        """Precision of the covariances; NaN where they are not positive definite."""

    @abc.abstractmethod
    def covariances(self, precision: Precision) -> Array:
        """Inverse of :meth:`invert`."""

    # ---- the M-step

    @abc.abstractmethod
    def outer(self, vectors: Float[Array, "*lead k d"], weights: Float[Array, "*lead k"]) -> Array:
        """``weight_k v_k v_k'`` in the shape of the covariances (summed over k for tied)."""

    @abc.abstractmethod
    def row_degrees(self, counts: Float[Array, "*lead k"], n_features: int) -> Array:
        """Divisor of the scatter at maximum likelihood, broadcastable to the covariances."""

    @abc.abstractmethod
    def prior_degrees(self, dof: Array, n_components: int, n_features: int) -> Array:
        """What the conjugate prior adds to that divisor at the joint mode of means and covariances."""

    @abc.abstractmethod
    def regularise(self, covariances: Array, amount: Float[Array, " d"]) -> Array:
        """Add ``amount`` (variances, one a feature) to the diagonals."""

    @abc.abstractmethod
    def where_component(self, keep: Array, covariances: Array, other: Array) -> Array:
        """Choose the covariances of component k where ``keep[..., k]``, else ``other``'s."""

    @abc.abstractmethod
    def permute(self, covariances: Array, order: Array) -> Array:
        """The covariances of components ``order`` (..., K'); nothing to do where all share one."""

    def maximise(self, moments: Moments, pseudo: PseudoMoments) -> tuple[Array, Array]:
        """Means and covariances at the maximum of the expected log posterior.

        Maximum likelihood is the case of zero pseudo-moments. With the normal-inverse-Wishart's it is the joint
        mode of Fraley & Raftery (2007, section 3): means are shrunk towards the prior's, and
        ``covariance = (scale + scatter + shrinkage) / (rows + prior degrees)``.

        Returns
        -------
        means : (..., K, D)
        covariances : in the structure's shape; the identity for a component without rows and without prior.
        """
        xp = namespace(moments.counts)
        counts = moments.counts + pseudo.moments.counts
        sums = moments.sums + pseudo.moments.sums
        second = moments.second + pseudo.moments.second
        occupied = counts > 0
        means = sums / xp.where(occupied, counts, 1.0)[..., None]
        n_features = means.shape[-1]
        divisor = self.row_degrees(moments.counts, n_features) + pseudo.degrees
        scatter = second - self.outer(means, counts)
        identity = self.from_dense(xp.eye(n_features, dtype=means.dtype), means.shape[-2])
        covariances = scatter / xp.where(divisor > 0, divisor, 1.0)
        return means, self.where_component(occupied, covariances, identity)

    # ---- units

    @abc.abstractmethod
    def rescale(self, covariances: Array, factor: Float[Array, " d"]) -> Array:
        """Covariances of ``factor * x``; spherical needs equal factors and uses the first."""

    common_scale: bool = False
    """Whether rows must share one scale (else standardising them would change the model)."""

    correlates: bool = True
    """Whether features may be correlated within a component."""

    def from_dense(self, matrix: Float[Array, "*lead d d"], n_components: int) -> Array:
        """One (D, D) matrix, given to every component in the structure's shape."""
        xp = namespace(matrix)
        return self.project(
            xp.broadcast_to(matrix[..., None, :, :], (*matrix.shape[:-2], n_components, *matrix.shape[-2:]))
        )

    @abc.abstractmethod
    def project(self, matrices: Float[Array, "*lead k d d"]) -> Array:
        """Structured covariances nearest to K dense ones (equal component sizes taken for tied)."""

    @abc.abstractmethod
    def dense(self, covariances: Array, n_components: int, n_features: int) -> Float[Array, "*lead k d d"]:
        """The K full (D, D) matrices."""

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Float[Array, "*lead k d"]:
        """The diagonals of the K full matrices."""
        dense = self.dense(covariances, n_components, n_features)
        return namespace(dense).diagonal(dense, axis1=-2, axis2=-1)

    # ---- the conjugate prior's share: inverse Wishart, inverse gammas

    @abc.abstractmethod
    def prior_scale(self, covariance: Float[Array, "d d"]) -> Array:
        """The part of a (D, D) scale matrix that the structure's prior uses: itself, its diagonal, its mean."""

    @abc.abstractmethod
    def scale_second(self, scale: Array, n_components: int, n_features: int) -> Array:
        """A prior scale as a second moment, in the shape of the covariances."""

    @abc.abstractmethod
    def precision_prior(
        self, dof: Array, scale: Array, n_components: int, n_features: int
    ) -> dist.Distribution:
        """Prior of the site ``precision_tril`` (or ``precisions``): one event holding all components."""

    precision_site: str

    @abc.abstractmethod
    def precision_from_site(self, value: Array) -> Precision:
        """From the NumPyro site's value to a precision."""

    @abc.abstractmethod
    def precision_to_site(self, covariances: Array) -> Array:
        """From covariances to the NumPyro site's value; inverse of :meth:`precision_from_site`."""

    @abc.abstractmethod
    def log_prior(self, covariances: Array, dof: Array, scale: Array) -> Float[Array, "*lead"]:
        """Log density of the inverse Wishart (inverse gammas) at the covariances, over all of them."""

    def draw_covariances(self, key: Array, dof: Array, scale: Array) -> Array:
        """Covariances from the inverse Wishart (inverse gammas); ``dof`` broadcasts to ``scale``, shaped like them.

        Given rows it is the conjugate conditional: degrees that include :meth:`row_degrees`, scales that include the
        scatter.
        """
        raise ValueError(
            f"Covariances of structure {self.name!r} have no conditional draws, so Gibbs cannot sample them. Use NUTS."
        )

    # ---- the conjugate posterior in closed form: variational inference

    def expected_precision(self, dof: Array, scale: Array) -> Precision:
        """E[precision] and half E[log det precision] under the inverse Wishart (inverse gammas).

        ``dof`` broadcasts to ``scale``, which is shaped like the covariances.
        """
        raise ValueError(self._no_closed_form())

    def log_normaliser(self, dof: Array, scale: Array) -> Float[Array, "*lead"]:
        """Log integral of the unnormalised inverse Wishart (inverse gammas), over all covariances."""
        raise ValueError(self._no_closed_form())

    def log_student(
        self,
        x: Float[Array, "d b"],
        centre: Float[Array, "k d"],
        counts: Float[Array, " k"],
        dof: Array,
        scale: Array,
    ) -> Float[Array, "k b"]:
        """Log predictive density of a row: ``N(x | mu, Sigma)`` with both integrated out of the conjugate posterior.

        Student's t (Murphy 2007, section 9): mu | Sigma ~ N(centre, Sigma / counts), Sigma ~ IW(dof, scale).
        """
        raise ValueError(self._no_closed_form())

    def sample_covariances(
        self, rng: np.random.Generator, dof: np.ndarray, scale: np.ndarray, n_draws: int
    ) -> np.ndarray:
        """:meth:`draw_covariances` on the host, ``n_draws`` of them, with nothing to compile."""
        raise ValueError(self._no_closed_form())

    def _no_closed_form(self) -> str:
        return (
            f"Covariances of structure {self.name!r} have no conjugate posterior in closed form, so CAVI cannot fit "
            "them. Use NUTS."
        )

    def temper(self, precision: Precision, factor: Array, n_features: int) -> Precision:
        """The precision times a scalar."""
        xp = namespace(precision.matrix)
        half_log_det = precision.half_log_det + 0.5 * n_features * xp.log(factor)
        return Precision(precision.matrix * factor, half_log_det)

    # ---- scales and correlations (independent priors)

    def feature_scales(self, values: Float[Array, " d"]) -> Array:
        """One scale a feature, as it broadcasts to :meth:`scale_shape`."""
        return values

    @abc.abstractmethod
    def scale_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of the standard deviations."""

    def correlation_shape(self, n_components: int, n_features: int) -> tuple[int, ...] | None:
        """Batch shape of the correlation matrices, or None where features are independent."""
        return None

    @abc.abstractmethod
    def precision_from_scales(self, scales: Array, correlation_tril: Array | None) -> Precision:
        """Precision of ``diag(s) L L' diag(s)``."""

    @abc.abstractmethod
    def scales_from(self, covariances: Array) -> tuple[Array, Array | None]:
        """Standard deviations and the Cholesky factors of the correlations."""
