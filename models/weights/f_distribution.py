"""An F prior of one positive number: heavier towards large values than a Gamma."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import betaln
from numpyro.distributions import constraints, transforms

from bayesgmm.covariances import Array
from bayesgmm.models.weights.concentration import ConcentrationPrior, check_positive


class F(ConcentrationPrior):
    """``F(numerator, denominator)``, by default the F(6, 3) of Fruehwirth-Schnatter, Malsiner-Walli & Gruen (2021).

    They give it to the concentration of finite mixtures with a random number of components: it keeps away from 0, and
    its tail is polynomial.

    Raises a ValueError for degrees of freedom that are not finite numbers above 0, or a denominator of at most 2, which
    leaves no mean.
    """

    numerator: Any = 6.0
    denominator: Any = 3.0

    def __post_init__(self):
        check_positive("numerator", self.numerator)
        check_positive("denominator", self.denominator)
        if not isinstance(self.denominator, jax.Array) and float(self.denominator) <= 2:
            raise ValueError(f"Expected a denominator above 2; got {self.denominator!r}.")

    def resolve(self) -> F:
        return F(np.asarray(self.numerator, float), np.asarray(self.denominator, float))

    @property
    def mean(self) -> Any:
        return self.denominator / (self.denominator - 2.0)

    def site(self, name: str) -> Array:
        ratio = self.denominator / self.numerator
        odds = [
            transforms.SigmoidTransform().inv,
            transforms.ExpTransform(),
            transforms.AffineTransform(0.0, ratio, domain=constraints.positive),
        ]
        share = dist.Beta(0.5 * self.numerator, 0.5 * self.denominator)
        return numpyro.sample(name, dist.TransformedDistribution(share, odds))

    def log_prob(self, value: Array) -> Array:
        a, b = 0.5 * jnp.asarray(self.numerator), 0.5 * jnp.asarray(self.denominator)
        scaled = a / b * value
        return a * jnp.log(scaled) - jnp.log(value) - (a + b) * jnp.log1p(scaled) - betaln(a, b)

    def sample(self, rng: np.random.Generator, n_draws: int) -> np.ndarray:
        return rng.f(float(self.numerator), float(self.denominator), size=n_draws)
