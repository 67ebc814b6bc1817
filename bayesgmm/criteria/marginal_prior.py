"""Prior density of means and covariances, hyperparameters integrated out: what an evidence is an integral over.

One function a prior, registered by its class; a prior that is registered has an evidence, whichever engine drew its
posterior, since no random hyperparameter is left whose draws would be needed.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln, logsumexp

from bayesgmm.covariances import Array, Structure
from bayesgmm.models.components import (
    Hierarchical,
    Independent,
    NormalInverseWishart,
    NormalLKJ,
    RandomCentre,
)
from bayesgmm.models.components.own_scale import own_shape

POINTS = 401  # of the trapezoid rule, which converges geometrically where both ends are negligible


@functools.singledispatch
def log_marginal_prior(prior: Any, structure: Structure, means: Array, covariances: Array) -> Array:
    """Log density of means (K, D) and covariances, with respect to both, of a resolved prior.

    Raises a ValueError for a prior that has none registered.
    """
    raise ValueError(
        f"Expected a component prior whose density is known; {type(prior).__name__} has none. An evidence exists for "
        f"{', '.join(sorted(c.__name__ for c in log_marginal_prior.registry if c is not object))}."
    )


def has_marginal_prior(prior: Any) -> bool:
    """Whether :func:`log_marginal_prior` knows the prior."""
    return log_marginal_prior.dispatch(type(prior)) is not log_marginal_prior.dispatch(object)


@log_marginal_prior.register
def _(prior: NormalInverseWishart, structure, means, covariances):
    return prior.log_prior(structure, means, covariances)


@log_marginal_prior.register
def _(prior: Independent, structure, means, covariances):
    normal = jnp.sum(dist.Normal(prior.mean, prior.mean_scale).log_prob(means))
    return normal + _log_covariances(prior, structure, covariances, means.shape[-1])


@log_marginal_prior.register
def _(prior: Hierarchical, structure, means, covariances):
    r"""Every lambda_j by quadrature: :math:`\int Gamma(\lambda) \prod_k N(\mu_{kj} | m_j, \lambda s_j^2) d\lambda`."""
    base, (k, d) = prior.base, means.shape
    shape, rate = prior.shape, prior.rate
    squares = jnp.sum(((means - base.mean) / base.mean_scale) ** 2, axis=0) + np.finfo(float).tiny
    low = jnp.minimum(jnp.log(squares) - 5.0, 0.5 * jnp.log(squares / rate) - 3.0)
    high = jnp.log(60.0 / rate + 10.0 * jnp.sqrt(squares / rate))
    u = low + (high - low) * jnp.linspace(0.0, 1.0, POINTS)[:, None]
    value = jnp.exp(u)
    log_gamma = shape * jnp.log(rate) - gammaln(shape) + shape * u - rate * value
    log_normal = -0.5 * k * (u + jnp.log(2 * jnp.pi)) - k * jnp.log(base.mean_scale) - 0.5 * squares / value
    integrals = logsumexp(log_gamma + log_normal, axis=0) + jnp.log((high - low) / (POINTS - 1))
    return jnp.sum(integrals) + _log_covariances(base, structure, covariances, d)


@log_marginal_prior.register
def _(prior: RandomCentre, structure, means, covariances):
    """The centre in closed form given kappa, and kappa by quadrature."""
    k, d = means.shape
    base = prior.base
    inverse = structure.invert(covariances)
    precisions = structure.dense(inverse.matrix, k, d)
    log_det = jnp.sum(jnp.linalg.slogdet(precisions)[1])
    total, pulled = precisions.sum(axis=0), jnp.einsum("kij,kj->i", precisions, means)
    square = jnp.einsum("ki,kij,kj->", means, precisions, means)
    middle = jnp.linalg.solve(total, pulled)
    shape, rate = prior.shape + 0.5 * (k - 1) * d, prior.rate + 0.5 * (square - pulled @ middle)
    width = jnp.linspace(-30.0 / jnp.minimum(shape, 30.0) - 2.0, 5.0, POINTS)
    u = jnp.log(jnp.maximum(shape, 0.5) / rate) + width

    def given(log_kappa: Array) -> Array:
        kappa, own = jnp.exp(log_kappa), prior.mean_scale**-2.0
        information = jnp.diag(own) + kappa * total
        linear = own * prior.mean + kappa * pulled
        quadratic = (
            kappa * square + jnp.sum(own * prior.mean**2) - linear @ jnp.linalg.solve(information, linear)
        )
        dets = log_det + k * d * log_kappa + jnp.sum(jnp.log(own)) - jnp.linalg.slogdet(information)[1]
        log_gamma = (
            prior.shape * (jnp.log(prior.rate) + log_kappa) - gammaln(prior.shape) - prior.rate * kappa
        )
        return log_gamma + 0.5 * (dets - k * d * jnp.log(2 * jnp.pi) - quadratic)

    integral = logsumexp(jax.vmap(given)(u))
    return integral + jnp.log(u[1] - u[0]) + structure.log_prior(covariances, base.dof, base.scale)


@log_marginal_prior.register
def _(prior: NormalLKJ, structure, means, covariances):
    """Densities of scales and correlations, less the Jacobian of the covariances in them."""
    d = means.shape[-1]
    normal = jnp.sum(dist.Normal(prior.mean, prior.mean_scale).log_prob(means))
    scales, tril = structure.scales_from(covariances)
    own = jnp.sum(prior.scales.distribution(structure.feature_scales).log_prob(scales))
    log_scales = jnp.sum(jnp.log(scales))
    if tril is None:  # dv = 2 s ds
        return normal + own - scales.size * jnp.log(2.0) - log_scales
    correlations = tril @ jnp.swapaxes(tril, -1, -2)
    lkj = jnp.sum(dist.LKJ(d, prior.concentration).log_prob(correlations))
    return normal + own + lkj - scales.size * jnp.log(2.0) - d * log_scales


def _log_covariances(prior: Independent, structure: Structure, covariances: Array, n_features: int) -> Array:
    """Of an inverse Wishart whose scale is fixed or random.

    A random scale is integrated out by Besag's (1989) identity, ``p(S) = p(S | L) p(L) / p(L | S)`` at any L; both
    densities of L are written for its inverse, whose Jacobian cancels.
    """
    if prior.scale is not None:
        return structure.log_prior(covariances, prior.dof, prior.scale)
    own = own_shape(structure, n_features)
    precisions = structure.invert(covariances).matrix.reshape(-1, *own)
    rate = prior.scale_rate + precisions.sum(axis=0)
    dof = prior.scale_dof + precisions.shape[0] * prior.dof
    inverse = structure.scale_second(rate / dof, 1, n_features)  # of the conditional mean of L
    scale = structure.invert(inverse).matrix.reshape(own)
    before = structure.log_prior(inverse, prior.scale_dof, prior.scale_rate)
    after = structure.log_prior(inverse, dof, rate)
    return structure.log_prior(covariances, prior.dof, scale) + before - after
