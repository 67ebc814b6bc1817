"""Priors of standard deviations, in the data's units."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist

from bayesgmm.covariances import Array, namespace
from bayesgmm.models.components.component_prior import as_vector, check_numbers
from bayesgmm.pytree import PyTree


class HalfNormal(PyTree):
    """``sd ~ |Normal(0, scale)|``; the default scale is the data's standard deviation."""

    scale: Any = None

    def resolve(self, spread: Array, n_components: int) -> HalfNormal:
        """The same with an array inside, set from the data's standard deviations (D,) if it was left open."""
        return HalfNormal(
            spread if self.scale is None else as_vector("scale", self.scale, spread.shape[0], above=0.0)
        )

    def rescale(self, factor: Array) -> HalfNormal:
        """The (resolved) prior of the standard deviations of ``factor * x``."""
        return HalfNormal(self.scale * factor)

    def distribution(self, summary) -> dist.Distribution:
        """The distribution; ``summary`` turns one value a feature into what the structure needs."""
        return dist.HalfNormal(summary(self.scale))


class LogNormal(PyTree):
    """``log sd ~ Normal(log median, sigma)``.

    The default median is the data's standard deviation over K^(1/D), the scale at which Fraley & Raftery (2007)
    centre theirs, and sigma 1 puts 95 % within a factor of seven of it.
    """

    median: Any = None
    sigma: Any = 1.0

    def resolve(self, spread: Array, n_components: int) -> LogNormal:
        """The same with an array inside, set from the data's standard deviations (D,) if it was left open."""
        check_numbers("sigma", self.sigma, above=0.0)
        d = spread.shape[0]
        median = (
            spread / n_components ** (1.0 / d)
            if self.median is None
            else as_vector("median", self.median, d, above=0.0)
        )
        return LogNormal(median, namespace(self.sigma).asarray(self.sigma, float))

    def rescale(self, factor: Array) -> LogNormal:
        """The (resolved) prior of the standard deviations of ``factor * x``."""
        return LogNormal(self.median * factor, self.sigma)

    def distribution(self, summary) -> dist.Distribution:
        """The distribution; ``summary`` turns one value a feature into what the structure needs."""
        return dist.LogNormal(jnp.log(summary(self.median)), self.sigma)
