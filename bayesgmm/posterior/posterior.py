"""The posterior of a mixture: draws, and what they say."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data import Data, Standardisation
from bayesgmm.io import save
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.counts import count_table, prior_n_clusters
from bayesgmm.posterior.diagnostics import Diagnostics, diagnose, invariant_quantities
from bayesgmm.posterior.multimodality import mode_table
from bayesgmm.posterior.predict import MixturePredictor
from bayesgmm.posterior.predictive import with_posterior_predictive, with_prior
from bayesgmm.posterior.psis_loo import psis_loo
from bayesgmm.posterior.relabel import with_components_permuted
from bayesgmm.posterior.stephens import stephens_order


@dataclasses.dataclass(frozen=True, repr=False)
class Posterior(MixturePredictor):
    """Draws from a mixture's posterior, relabelled; components numbered as in the EM fit they began from.

    Attributes
    ----------
    observed : the rows
    model, engine : as given to ``fit``, the model's open hyperparameters set from the rows
    data : xarray DataTree with ArviZ's groups (posterior, sample_stats, log_likelihood, observed_data) and ours
        (clustering, warm_start), in the user's units
    draws : the mixtures (S, ...) in standardised units (``standardisation`` maps them back), S = chains x draws
    start : the EM fit that the chains began from
    seconds : time by phase
    remarks : what the engine had to say, in words
    seed : of the random numbers
    """

    observed: Data
    model: Any
    engine: Any
    standardisation: Standardisation
    draws: Mixture
    data: Any
    start: Any
    seconds: dict[str, float]
    remarks: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def kind(self) -> str:
        """The engine's name."""
        return type(self.engine).__name__

    @property
    def n_components(self) -> int:
        """Slots of the draws: the number of components, or the largest seen where that number is random."""
        return self.draws.n_components

    @property
    def covariance_type(self) -> str:
        """The structure: "full", "tied", "diag" or "spherical"."""
        return self.model.covariance_type

    def _mean(self, name: str) -> NDArray[np.float64]:
        return self.data["posterior"][name].mean(("chain", "draw")).values

    @property
    def weights(self) -> NDArray[np.float64]:
        """Posterior mean weights (K,)."""
        return self._mean("weights")

    @property
    def means(self) -> NDArray[np.float64]:
        """Posterior mean means (K, D)."""
        return self._mean("means")

    @property
    def covariances(self) -> NDArray[np.float64]:
        """Posterior mean covariances, in scikit-learn's shape for the structure."""
        return self._mean("covariances")

    @property
    def n_clusters(self):
        """Posterior of K+, the number of components that hold at least one row: a pandas Series by K+."""
        import pandas as pd

        occupied = (self.data["clustering"]["drawn_sizes"].values > 0).sum(axis=-1).ravel()
        counts = np.bincount(occupied, minlength=self.n_components + 1)[1:]
        index = pd.RangeIndex(1, self.n_components + 1, name="n_clusters")
        return pd.Series(counts / counts.sum(), index=index, name="probability")

    @cached_property
    def n_clusters_table(self) -> Any:
        """Posterior of K+ with its Monte Carlo errors, beside its prior: a pandas DataFrame by K+.

        The prior is by simulation, 20 000 draws: standard errors of at most .0036.
        """
        occupied = (self.data["clustering"]["drawn_sizes"].values > 0).sum(axis=-1)
        return count_table(occupied, prior_n_clusters(self.model, self.observed.n_rows), "n_clusters")

    @cached_property
    def n_components_table(self) -> Any:
        """Posterior of K with its Monte Carlo errors, beside its prior; a ValueError where K is not random."""
        prior = self.model.weights.prior_n_components()
        if prior is None:
            raise ValueError(
                "Expected a model whose number of components is random, such as "
                f"models.mixture_of_finite_mixtures(); here it is {self.n_components}. See n_clusters_table for "
                "how many are occupied."
            )
        drawn = self.data["posterior"]["n_components"].values.astype(int)
        return count_table(drawn, prior, "n_components")

    @cached_property
    def _diagnostics(self) -> Diagnostics:
        return diagnose(self)

    def diagnostics(self) -> Diagnostics:
        """How far to trust the draws: label-invariant quantities first, then relabelled parameters."""
        return self._diagnostics

    @cached_property
    def modes(self) -> Any:
        """Where chains stay apart: a pandas DataFrame of groups of chains, their stacking and their Laplace weights.

        One row where all agree; ``data["warm_start"]["laplace_weight"]`` has the weight of every mode that was found.
        """
        return mode_table(self, invariant_quantities(self))

    def relabelled_by_stephens(self) -> Posterior:
        """The same draws, their components matched by Stephens (2000), algorithm 2, rather than by ECR.

        Means, intervals and traces of single components follow; nothing that does not depend on labels changes.
        """
        order = stephens_order(self)
        return dataclasses.replace(
            self, draws=self.draws.permute(order), data=with_components_permuted(self.data, order)
        )

    def posterior_predictive(self, n_draws: int | None = None, random_state: Any = None) -> Any:
        """``data`` with the group ``posterior_predictive``: N new rows from each of ``n_draws`` draws a chain."""
        return with_posterior_predictive(self, n_draws, random_state)

    def prior_predictive(self, n_draws: int = 1000, random_state: Any = None) -> Any:
        """``data`` with the groups ``prior`` and ``prior_predictive``: draws of the model before it saw the rows."""
        return with_prior(self, n_draws, random_state)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        return (*self.remarks, *self.diagnostics().warnings)

    def loo(self) -> Any:
        """Leave-one-out expected log density by Pareto-smoothed importance sampling (Vehtari et al. 2017)."""
        return psis_loo(self.data)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to one netCDF file, which :func:`bayesgmm.load` reads back."""
        save(self, path)

    def __repr__(self) -> str:
        from bayesgmm.tables import component_table

        chains, draws = self.data["sample_stats"]["lp"].shape
        most = "at most " if self.model.weights.random_number else ""
        head = (
            f"{self.kind} posterior of {most}{self.n_components} {self.covariance_type} component"
            f"{'s' * (self.n_components > 1)} for {self.observed.name} "
            f"({self.observed.n_rows} x {self.observed.n_features}): {chains} chains of {draws} draws"
        )
        group = self.data["posterior"]
        spread = {name: group[name].std(("chain", "draw")).values for name in ("weights", "means")}
        empty = (self.data["clustering"]["drawn_sizes"] == 0).mean(("chain", "draw")).values
        table = component_table(self, spread["weights"], spread["means"], empty=empty)
        notes = [f"note: {words}" for words in self.remarks]
        return "\n".join([f"{head}, posterior sd in brackets", table, self.diagnostics().verdict, *notes])
