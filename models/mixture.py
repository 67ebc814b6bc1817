"""The program: weights, then components, then data, with the assignments summed out."""

from __future__ import annotations

from typing import SupportsIndex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro
from jaxtyping import Float

from bayesgmm.covariances import Array, PseudoMoments, Structure, get_structure, namespace
from bayesgmm.mixture import Mixture, MixtureDistribution
from bayesgmm.models.components import ComponentPrior, DataMoments, NormalInverseWishart
from bayesgmm.models.weights import Dirichlet, WeightPrior


class FiniteMixture(eqx.Module):
    """K Gaussian components: a weight prior, a component prior and a covariance structure.

    K is the truncation of a stick-breaking prior, and the largest number that a prior of the number allows.

    Calling it with rows (N, D) runs it as a NumPyro program, so that NumPyro's own MCMC, SVI and Predictive work
    on it. Its sites are ``weights``, ``means``, the structure's scale sites, and the rows ``x``; the
    ``covariances`` are recorded too.
    """

    n_components: int = eqx.field(static=True)
    structure: Structure = eqx.field(static=True)
    weights: WeightPrior
    components: ComponentPrior

    @property
    def covariance_type(self) -> str:
        return self.structure.name

    def __call__(self, x: Float[Array, "n d"]) -> None:
        """The NumPyro program. Hyperparameters that were left open are set from the rows."""
        x = jnp.asarray(x)
        k, (n, d) = self.n_components, x.shape
        model = jax.tree.map(jnp.asarray, self.resolve(x))
        log_weights = model.weights.sites(k)
        means, precision = model.components.sites(self.structure, k, d)
        numpyro.deterministic("covariances", self.structure.covariances(precision))
        with numpyro.plate("row", n):
            numpyro.sample("x", MixtureDistribution(self.structure, log_weights, means, precision), obs=x)

    def resolve(
        self, x: Float[Array, "n d"], sample_weight: Float[Array, " n"] | None = None
    ) -> FiniteMixture:
        """The model with every hyperparameter an array, those left open set from the rows."""
        moments = DataMoments(x, sample_weight)
        usual = self.weights.usual_number(self.n_components)
        components = self.components.resolve(self.structure, usual, moments)
        return FiniteMixture(self.n_components, self.structure, self.weights.resolve(), components)

    def rescale(self, factor: Float[Array, " d"], shift: Float[Array, " d"]) -> FiniteMixture:
        """The (resolved) model of ``factor * x + shift``: the same beliefs in other units."""
        components = self.components.rescale(self.structure, factor, shift)
        return FiniteMixture(self.n_components, self.structure, self.weights, components)

    def to_sites(self, mixture: Mixture) -> dict[str, Array]:
        """Values of the sampled sites at a mixture."""
        return {
            **self.weights.to_sites(mixture.log_weights),
            **self.components.to_sites(self.structure, mixture.means, mixture.covariances),
        }

    def from_sites(self, sites: dict[str, Array]) -> Mixture:
        """The mixture at given values of the sites (leading axes free); inverse of :meth:`to_sites`."""
        means, precision = self.components.from_sites(self.structure, sites)
        lead = means.shape[:-2]
        log_weights = (
            namespace(means).zeros((*lead, 1)) if self.n_components == 1 else self.weights.from_sites(sites)
        )
        return Mixture(self.structure, log_weights, means, self.structure.covariances(precision))

    def pseudo_moments(self, n_features: int) -> tuple[Array, PseudoMoments]:
        """Pseudo-counts of the weights, pseudo-moments of the components (conjugate priors only)."""
        pseudo = self.components.pseudo_moments(self.structure, self.n_components, n_features)
        return self.weights.pseudo_counts(), pseudo

    def log_prior(self, mixture: Mixture) -> Array:
        """Log prior density of weights, means and covariances."""
        components = self.components.log_prior(self.structure, mixture.means, mixture.covariances)
        return self.weights.log_prior(mixture.log_weights) + components


def finite_mixture(
    n_components: SupportsIndex,
    covariance_type: str | Structure = "full",
    *,
    concentration: float = 1.0,
    components: ComponentPrior | None = None,
) -> FiniteMixture:
    """A mixture of a fixed number of Gaussians.

    Parameters
    ----------
    n_components : K, at least 1
    covariance_type : "full", "tied", "diag" or "spherical"
    concentration : of the symmetric Dirichlet prior of the weights
    components : prior of means and covariances; :class:`NormalInverseWishart` scaled to the data if None.

    Raises
    ------
    ValueError, TypeError
        If the number of components is not a positive integer, or the structure is unknown.
    """
    return compose(n_components, covariance_type, Dirichlet(concentration), components)


def compose(
    n_components: SupportsIndex,
    covariance_type: str | Structure,
    weights: WeightPrior,
    components: ComponentPrior | None,
    name: str = "n_components",
) -> FiniteMixture:
    """A mixture of given priors; ``name`` is what the caller calls its number of components, for the messages."""
    if isinstance(n_components, bool) or not hasattr(n_components, "__index__"):
        raise TypeError(f"Expected {name} to be an integer; got {n_components!r}.")
    n_components = int(n_components)
    if n_components < 1:
        raise ValueError(f"Expected {name} of at least 1; got {n_components}.")
    prior = NormalInverseWishart() if components is None else components
    if not isinstance(prior, ComponentPrior):
        remedy = f" Call it: {prior.__name__}()." if callable(prior) and hasattr(prior, "__name__") else ""
        got = type(prior).__name__
        raise TypeError(
            f"Expected components to be a prior such as models.components.NormalLKJ(); got {got}.{remedy}"
        )
    return FiniteMixture(n_components, get_structure(covariance_type), weights, prior)
