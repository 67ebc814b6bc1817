"""Symmetric (D, D) matrices: what ``full`` and ``tied`` share."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma, gammaln, multigammaln
from jaxtyping import Float

from bayesgmm.covariances.structure import Array, Precision, namespace
from bayesgmm.gamma_draws import draw_log_gamma


def transpose(matrix: Float[Array, "*lead a b"]) -> Float[Array, "*lead b a"]:
    """Swap the last two axes."""
    xp = namespace(matrix)
    return xp.swapaxes(matrix, -1, -2)


def half_log_det_of_tril(tril: Float[Array, "*lead d d"]) -> Float[Array, "*lead"]:
    """Half the log determinant of ``L L'``."""
    xp = namespace(tril)
    return xp.sum(xp.log(xp.diagonal(tril, axis1=-2, axis2=-1)), axis=-1)


def inverse_of_tril(tril: Float[Array, "*lead d d"]) -> Float[Array, "*lead d d"]:
    """Inverse of a lower triangular matrix."""
    xp = namespace(tril)
    if xp is np:
        return np.linalg.inv(tril)
    identity = xp.broadcast_to(xp.eye(tril.shape[-1], dtype=tril.dtype), tril.shape)
    return lax.linalg.triangular_solve(tril, identity, left_side=True, lower=True)


def invert(matrix: Float[Array, "*lead d d"]) -> Precision:
    """Inverse and half log determinant of the inverse, by Cholesky."""
    xp = namespace(matrix)
    if matrix.shape[-1] == 1:
        return Precision(1.0 / matrix, -0.5 * xp.log(matrix[..., 0, 0]))
    tril = xp.linalg.cholesky(matrix)
    inverse = inverse_of_tril(tril)
    return Precision(transpose(inverse) @ inverse, -half_log_det_of_tril(tril))


def vech_indices(n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each entry of the upper triangle."""
    i, j = _triangle(n_features)
    return i.copy(), j.copy()  # JAX remembers what it was given by identity, also from another precision


@functools.cache
def _triangle(n_features: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n_features)


def vech_features(x: Float[Array, "d b"]) -> Float[Array, "p b"]:
    """Products x_i x_j, i <= j, of each column."""
    i, j = vech_indices(x.shape[0])
    return x[i] * x[j]


def quadratic_features(x: Float[Array, "d b"]) -> Float[Array, "p b"]:
    """[1, x, vech(xx')] of each column, as vech([1, x][1, x]'): one gather is many times faster than pieces joined."""
    xp = namespace(x)
    return vech_features(xp.concatenate([xp.ones_like(x[:1]), x]))


def quadratic_coefficients(precision: Float[Array, "*lead d d"]) -> Float[Array, "*lead p"]:
    """Coefficients c with ``c . vech(xx') = -x' precision x / 2``."""
    i, j = vech_indices(precision.shape[-1])
    return precision[..., i, j] * np.where(i == j, -0.5, -1.0).astype(precision.dtype)


def from_vech(vech: Float[Array, "*lead p"], n_features: int) -> Float[Array, "*lead d d"]:
    """Symmetric matrix from its upper triangle."""
    i, j = vech_indices(n_features)
    position = np.zeros((n_features, n_features), dtype=int)
    position[i, j] = position[j, i] = np.arange(i.size)
    return vech[..., position]


def precision_from_tril(tril: Float[Array, "*lead d d"]) -> Precision:
    """Precision ``L L'`` from its Cholesky factor."""
    return Precision(tril @ transpose(tril), half_log_det_of_tril(tril))


def tril_of_inverse(matrix: Float[Array, "*lead d d"]) -> Float[Array, "*lead d d"]:
    """Lower Cholesky factor of the inverse."""
    xp = namespace(matrix)
    return xp.linalg.cholesky(invert(matrix).matrix)


def precision_from_scales(scales: Float[Array, "*lead d"], tril: Float[Array, "*lead d d"]) -> Precision:
    """Precision of the covariance ``diag(s) L L' diag(s)``."""
    scaled = scales[..., :, None] * tril
    inverse = inverse_of_tril(scaled)
    return Precision(transpose(inverse) @ inverse, -half_log_det_of_tril(scaled))


def scales_from(matrix: Float[Array, "*lead d d"]) -> tuple[Array, Array]:
    """Standard deviations and the Cholesky factor of the correlation matrix."""
    xp = namespace(matrix)
    tril = xp.linalg.cholesky(matrix)
    scales = xp.sqrt(xp.diagonal(matrix, axis1=-2, axis2=-1))
    return scales, tril / scales[..., None]


def log_inverse_wishart(
    matrix: Float[Array, "*lead d d"], dof: Array, scale: Float[Array, "d d"]
) -> Float[Array, "*lead"]:
    """Log density of the inverse Wishart (Gelman et al. 2013, appendix A), with respect to the matrix."""
    d = matrix.shape[-1]
    precision, half_log_det = invert(matrix)
    log_det_scale = jnp.linalg.slogdet(scale)[1]
    normaliser = 0.5 * dof * log_det_scale - 0.5 * dof * d * jnp.log(2.0) - multigammaln(0.5 * dof, d)
    return normaliser + (dof + d + 1.0) * half_log_det - 0.5 * jnp.sum(precision * scale, axis=(-2, -1))


def draw_inverse_wishart(
    key: Array, dof: Array, scale: Float[Array, "*lead d d"]
) -> Float[Array, "*lead d d"]:
    """Inverse-Wishart matrices by Bartlett's decomposition of their inverses; ``dof`` broadcasts to ``scale``.

    With scale C C' and the standard Wishart A A', A lower triangular, the matrix is (A^-1 C')' (A^-1 C').
    """
    d = scale.shape[-1]
    key_diagonal, key_below = jax.random.split(key)
    degrees = jnp.broadcast_to(dof, scale.shape)[..., 0] - jnp.arange(d)
    diagonal = jnp.exp(0.5 * (jnp.log(2.0) + draw_log_gamma(key_diagonal, 0.5 * degrees)))
    if d == 1:
        return scale / diagonal[..., None] ** 2
    below = jnp.tril(jax.random.normal(key_below, scale.shape, scale.dtype), -1)
    bartlett = below + diagonal[..., None] * jnp.eye(d)
    root = lax.linalg.triangular_solve(
        bartlett, transpose(jnp.linalg.cholesky(scale)), left_side=True, lower=True
    )
    return transpose(root) @ root


def expected_precision(dof: Array, scale: Float[Array, "*lead d d"]) -> Precision:
    """E[inverse] and half E[log det inverse] of inverse-Wishart matrices (Bishop 2006, B.80 and B.81)."""
    d = scale.shape[-1]
    inverse, half_log_det = invert(scale)
    degrees = dof[..., 0] - jnp.arange(d)
    return Precision(
        dof * inverse, half_log_det + 0.5 * jnp.sum(digamma(0.5 * degrees) + jnp.log(2.0), axis=-1)
    )


def log_normaliser(dof: Array, scale: Float[Array, "*lead d d"]) -> Float[Array, "*lead"]:
    """Log integral of ``|S|^-(dof + D + 1)/2 exp(-tr(scale S^-1) / 2)``, matrix by matrix."""
    d = scale.shape[-1]
    nu = dof[..., 0, 0]
    return 0.5 * nu * d * jnp.log(2.0) + multigammaln(0.5 * nu, d) + nu * invert(scale).half_log_det


def log_student(
    x: Float[Array, "d b"],
    centre: Float[Array, "k d"],
    counts: Float[Array, " k"],
    dof: Array,
    scale: Float[Array, "*lead d d"],
) -> Float[Array, "k b"]:
    """Student's t of dof - D + 1 degrees about ``centre``, of shape matrix scale (counts + 1) / counts / degrees."""
    d = scale.shape[-1]
    inverse, half_log_det = invert(scale)
    nu, shrunk = dof[..., 0, 0], counts / (counts + 1.0)
    away = x - centre[..., None]
    square = jnp.sum(away * (inverse @ away), axis=-2)
    constant = gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * (nu + 1.0 - d)) + half_log_det
    constant = constant + 0.5 * d * jnp.log(shrunk / jnp.pi)
    return constant[..., None] - 0.5 * jnp.reshape(nu + 1.0, (-1, 1)) * jnp.log1p(shrunk[..., None] * square)


def sample_inverse_wishart(
    rng: np.random.Generator, dof: np.ndarray, scale: np.ndarray, n_draws: int
) -> np.ndarray:
    """:func:`draw_inverse_wishart` on the host: (S, ..., D, D)."""
    shape = (n_draws, *scale.shape)
    degrees = np.broadcast_to(dof, scale.shape)[..., 0] - np.arange(scale.shape[-1])
    diagonal = np.sqrt(rng.chisquare(degrees, size=shape[:-1]))
    bartlett = np.tril(rng.standard_normal(shape), -1) + diagonal[..., None] * np.eye(scale.shape[-1])
    root = np.linalg.solve(bartlett, transpose(np.linalg.cholesky(scale)))
    return transpose(root) @ root
