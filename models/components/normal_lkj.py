"""Independent priors: normal means, standard deviations, LKJ correlations."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from bayesgmm.covariances import Array, Structure, namespace
from bayesgmm.models.components.component_prior import ComponentPrior, DataMoments, as_vector, check_numbers
from bayesgmm.models.components.scales import HalfNormal, LogNormal


class NormalLKJ(ComponentPrior):
    r"""Means, scales and correlations independent a priori.

    .. math:: \mu_{kd} \sim N(m_d, s_d^2), \quad \Sigma_k = \mathrm{diag}(\sigma_k) C_k \mathrm{diag}(\sigma_k),
        \quad \sigma_{kd} \sim \text{half-normal or log-normal}, \quad C_k \sim LKJ(\eta)

    LKJ is Lewandowski, Kurowicka & Joe (2009). Not conjugate: for NUTS. Hyperparameters left None follow the
    data: ``mean`` the data's mean and ``mean_scale`` 2.5 of its standard deviations (the automatic scaling of
    Stan's rstanarm: Goodrich et al. 2024), scales half-normal at the data's standard deviation. ``concentration``
    2 favours weak correlations slightly; 1 is uniform over correlation matrices.

    Attributes
    ----------
    mean : (D,) or number
    mean_scale : (D,) or number
    scales : HalfNormal or LogNormal
    concentration : LKJ's eta
    """

    mean: Any = None
    mean_scale: Any = None
    scales: HalfNormal | LogNormal = dataclasses.field(default_factory=HalfNormal)
    concentration: Any = 2.0

    def __post_init__(self):
        if not isinstance(self.scales, HalfNormal | LogNormal):
            raise TypeError(f"Expected scales to be HalfNormal() or LogNormal(); got {self.scales!r}.")

    def resolve(self, structure: Structure, n_components: int, moments: DataMoments) -> NormalLKJ:
        d = moments.mean.shape[0]
        check_numbers("concentration", self.concentration, above=0.0)
        xp = namespace(moments.covariance)
        spread = xp.sqrt(xp.diagonal(moments.covariance))
        return NormalLKJ(
            moments.mean if self.mean is None else as_vector("mean", self.mean, d),
            2.5 * spread
            if self.mean_scale is None
            else as_vector("mean_scale", self.mean_scale, d, above=0.0),
            self.scales.resolve(spread, n_components),
            namespace(self.concentration).asarray(self.concentration, float),
        )

    def rescale(self, structure, factor, shift):
        return NormalLKJ(
            self.mean * factor + shift,
            self.mean_scale * factor,
            self.scales.rescale(factor),
            self.concentration,
        )

    def sites(self, structure, n_components, n_features):
        sites = {}
        prior = dist.Normal(self.mean, self.mean_scale).expand([n_components, n_features])
        sites["means"] = numpyro.sample("means", prior.to_event(2))
        shape = structure.scale_shape(n_components, n_features)
        prior = self.scales.distribution(structure.feature_scales).expand(shape)
        sites["scales"] = numpyro.sample("scales", prior.to_event(len(shape)))
        batch = structure.correlation_shape(n_components, n_features)
        if batch is not None:
            prior = dist.LKJCholesky(n_features, self.concentration).expand(batch)
            sites["correlation_tril"] = numpyro.sample("correlation_tril", prior.to_event(len(batch)))
        return self.from_sites(structure, sites)

    def to_sites(self, structure, means, covariances):
        scales, tril = structure.scales_from(covariances)
        sites = {"means": means, "scales": scales}
        return sites if tril is None else {**sites, "correlation_tril": tril}

    def from_sites(self, structure, sites):
        precision = structure.precision_from_scales(sites["scales"], sites.get("correlation_tril"))
        return sites["means"], precision

    def log_marginal_prior(self, structure: Structure, means: Array, covariances: Array) -> Array:
        """Log densities of scales and correlations, less the Jacobian of the covariances in them."""
        d = means.shape[-1]
        normal = jnp.sum(dist.Normal(self.mean, self.mean_scale).log_prob(means))
        scales, tril = structure.scales_from(covariances)
        own = jnp.sum(self.scales.distribution(structure.feature_scales).log_prob(scales))
        log_scales = jnp.sum(jnp.log(scales))
        if tril is None:  # dv = 2 s ds
            return normal + own - scales.size * jnp.log(2.0) - log_scales
        correlations = tril @ jnp.swapaxes(tril, -1, -2)
        lkj = jnp.sum(dist.LKJ(d, self.concentration).log_prob(correlations))
        return normal + own + lkj - scales.size * jnp.log(2.0) - d * log_scales
