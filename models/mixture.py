"""The program: weights, then components, then data, with the assignments summed out."""

from __future__ import annotations

from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.covariances import Array, Natural, Precision, PseudoMoments, Structure, get_structure, namespace
from bayesgmm.data import RowMoments, as_data
from bayesgmm.kernel import total_log_density
from bayesgmm.mixture import Mixture, MixtureDistribution
from bayesgmm.models.components import ComponentPrior, DataMoments, NormalInverseWishart
from bayesgmm.models.prior_draws import prior_draws
from bayesgmm.models.weights import Dirichlet, WeightPrior
from bayesgmm.pytree import PyTree, static
from bayesgmm.random_state import as_seed
from bayesgmm.row_blocks import Rows


class FiniteMixture(PyTree):
    """K Gaussian components: a weight prior, a component prior and a covariance structure.

    K is the truncation of a stick-breaking prior, and the largest number that a prior of the number allows.

    Calling it with rows (N, D) runs it as a NumPyro program, so that NumPyro's own MCMC, SVI and Predictive work
    on it. Its sites are ``weights``, ``means``, the structure's scale sites, and the rows ``x``; the
    ``covariances`` are recorded too. Calling it without rows draws new ones.
    """

    n_components: int = static()
    structure: Structure = static()
    weights: WeightPrior
    components: ComponentPrior

    @property
    def covariance_type(self) -> str:
        """The structure: "full", "tied", "diag" or "spherical"."""
        return self.structure.name

    def __call__(
        self, x: Float[Array, "n d"] | None = None, n_rows: int = 1, subsample_size: int | None = None
    ) -> None:
        """The NumPyro program. Hyperparameters that were left open are set from the rows.

        Without rows, ``n_rows`` new ones are sampled at the site ``x`` (NumPyro's Predictive): the model must then be
        resolved, ``model.resolve(rows)``, since there is nothing to set open hyperparameters from.

        With ``subsample_size``, every run sees so many of the rows, drawn at random, and their likelihood counts for
        all: minibatches, for SVI.
        """
        x = None if x is None else jnp.asarray(x)
        model = self if x is None else self.resolve(x)
        n, d = (n_rows, self.components.n_features) if x is None else x.shape
        parameters = jax.tree.map(jnp.asarray, model).parameters(d)
        numpyro.deterministic("covariances", self.structure.covariances(parameters[2]))
        with numpyro.plate("row", n, subsample_size=subsample_size):
            rows = x if subsample_size is None else numpyro.subsample(x, event_dim=1)
            numpyro.sample("x", MixtureDistribution(self.structure, *parameters), obs=rows)

    def parameters(self, n_features: int) -> tuple[Array, Array, Precision]:
        """The (resolved) program's share before the rows: log weights (K,), means (K, D) and precision, sampled."""
        log_weights = self.weights.sites(self.n_components)
        means, precision = self.components.sites(self.structure, self.n_components, n_features)
        return log_weights, means, precision

    def on_blocks(self, rows: Rows) -> None:
        """The same (resolved) program on rows in blocks: one fused pass of the kernel gives value and gradient."""
        natural = self.structure.natural(*self.parameters(rows.blocks.shape[1]))
        columns = Natural(natural.eta[None], natural.shared[None])
        numpyro.factor("x", total_log_density(self.structure, columns, rows)[0])

    def prior_predictive(
        self, n_rows: int, *, n_draws: int = 1000, random_state: Any = None
    ) -> dict[str, NDArray[np.float64]]:
        """Draws of the prior, and ``n_rows`` new rows ``x`` (S, n_rows, D) from each, by site.

        The model must be resolved, ``model.resolve(rows)``, where hyperparameters were left open; a posterior's
        ``model`` is.
        """
        for name, value in (("n_rows", n_rows), ("n_draws", n_draws)):
            if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 1:
                raise ValueError(f"Expected {name} to be an integer of at least 1; got {value!r}.")
        _ = self.components.n_features  # says where the model is not resolved, before anything is traced
        return prior_draws(self, int(n_rows), int(n_draws), as_seed(random_state))

    def resolve(
        self,
        x: Any,
        sample_weight: Float[Array, " n"] | None = None,
        known: RowMoments | None = None,
    ) -> FiniteMixture:
        """The model with every hyperparameter an array, those left open set from the rows, in any form ``fit`` takes.

        ``known`` are the moments of these rows, where they have been computed already.
        """
        rows = x if isinstance(x, np.ndarray | jax.Array) else as_data(x).rows
        moments = DataMoments(rows, sample_weight, known)
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
    components : prior of means and covariances; :class:`.NormalInverseWishart` scaled to the data if None.

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
