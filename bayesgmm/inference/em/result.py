"""What EM returns: an immutable result in the user's units."""

from __future__ import annotations

import dataclasses
import enum
from functools import cached_property
from os import PathLike
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.criteria import information
from bayesgmm.data import Data, Standardisation
from bayesgmm.inference.em.cautions import cautions, few_starts
from bayesgmm.inference.em.degeneracy import floor_of
from bayesgmm.inference.em.standard_errors import StandardErrors, information_errors
from bayesgmm.inference.problem import Problem
from bayesgmm.io import save
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.predict import MixturePredictor, classification_entropies


class Status(enum.Enum):
    """How a fit ended; the value is the message, with the remedy in it."""

    CONVERGED = "converged: the estimated remaining gain is below tol"
    MAX_STEPS = "stopped at max_steps before convergence: raise max_steps or loosen tol"
    INTERRUPTED = "interrupted: the best state until then is kept"
    NON_FINITE = "no start gave a finite likelihood: raise reg_covar, or use EM(objective='posterior')"

    @property
    def ok(self) -> bool:
        return self is Status.CONVERGED


@dataclasses.dataclass(frozen=True, repr=False)
class EMResult(MixturePredictor):
    """A fitted mixture. Arrays are NumPy, float64, in the user's units; components by decreasing weight.

    Attributes
    ----------
    observed : the rows
    model, engine : as given to ``fit``, the model's open hyperparameters set from the rows
    mixture : the mixture in standardised units (``standardisation`` maps it back)
    sample_weight : (N,) weights of the rows
    log_likelihood : total log-likelihood of the (weighted) rows, in nats
    log_posterior : log-likelihood plus log prior where the objective was the posterior, else None
    n_steps : EM steps of the winning start, on all rows, since the last move (what led there is not counted)
    status : how it ended
    history : (n_steps + 1,) objective before each of these steps and at the end
    restarts : final objective of every start, -inf where it failed
    set_aside : starts that ended higher, but in a spike, and were therefore not chosen
    degeneracies : components that the likelihood likes and a statistician does not, in words
    seconds : time taken, of a batch its share
    seed : of the random numbers, where ``fit`` made it
    """

    observed: Data
    model: FiniteMixture
    engine: Any
    mixture: Mixture
    standardisation: Standardisation
    sample_weight: NDArray[np.float64]
    log_likelihood: float
    log_posterior: float | None
    n_steps: int
    status: Status
    history: NDArray[np.float64]
    restarts: NDArray[np.float64]
    set_aside: int
    degeneracies: tuple[str, ...]
    seconds: float
    seed: int | None = None

    kind = "EM"

    @property
    def draws(self) -> Mixture:
        """The fit as one draw (leading axis 1), in standardised units."""
        return jax.tree.map(lambda a: np.asarray(a)[None], self.mixture)

    @cached_property
    def problem(self) -> Problem:
        """The task that was solved: standardised rows, the resolved model; without its start."""
        return Problem(
            self.observed, self.model, self.standardisation, self.sample_weight, seed=self.seed or 0
        )

    @cached_property
    def _user(self) -> Mixture:
        return self.restore(self.mixture)

    @property
    def n_components(self) -> int:
        """K."""
        return self.model.n_components

    @property
    def covariance_type(self) -> str:
        """The structure: "full", "tied", "diag" or "spherical"."""
        return self.model.covariance_type

    @property
    def weights(self) -> NDArray[np.float64]:
        """Mixing weights (K,)."""
        return np.exp(self._user.log_weights)

    @property
    def means(self) -> NDArray[np.float64]:
        """Means (K, D)."""
        return self._user.means

    @property
    def covariances(self) -> NDArray[np.float64]:
        """Covariances, in scikit-learn's shape for the structure."""
        return self._user.covariances

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        ended = () if self.status.ok else (self.status.value,)
        return (*ended, *self.degeneracies, *self._few_starts, *self._cautions)

    @property
    def _few_starts(self) -> tuple[str, ...]:
        return few_starts(self.set_aside, len(self.restarts))

    @cached_property
    def _cautions(self) -> tuple[str, ...]:
        return cautions(self.mixture, self.problem, floor_of(self.engine, self.problem))

    @property
    def _weighted(self) -> str:
        return "" if np.all(self.sample_weight == 1.0) else f", weighted: as {self.n_rows:g} rows"

    @property
    def n_parameters(self) -> int:
        """Free parameters: weights, means and covariances."""
        return self.mixture.n_parameters

    @property
    def n_rows(self) -> float:
        """Rows, or the sum of their weights."""
        return float(np.sum(self.sample_weight))

    @property
    def aic(self) -> float:
        """Akaike's criterion, smaller is better."""
        return information.aic(self.log_likelihood, self.n_parameters)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, smaller is better."""
        return information.bic(self.log_likelihood, self.n_parameters, self.n_rows)

    @property
    def aicc(self) -> float:
        """AIC for few rows (Hurvich & Tsai 1989), smaller is better; infinite where parameters are too many for it."""
        return information.aicc(self.log_likelihood, self.n_parameters, self.n_rows)

    @cached_property
    def icl(self) -> float:
        """Integrated completed likelihood (Biernacki et al. 2000), smaller is better."""
        entropies = classification_entropies(self.draws, self.observed.rows, self.standardisation)
        return information.icl_of_entropy(self.bic, float(entropies @ self.sample_weight))

    def standard_errors(self) -> StandardErrors:
        """Standard errors of weights, means and covariances, from the observed information.

        See ``bayesgmm.inference.em.standard_errors``. Raises a ValueError that says why where
        there are none: an empty component, a spike, no strict maximum, a fit that has not converged.
        """
        return information_errors(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to one netCDF file, which :func:`bayesgmm.load` reads back."""
        save(self, path)

    def __repr__(self) -> str:
        from bayesgmm.tables import component_table

        steps = f"{self.n_steps} step{'s' * (self.n_steps != 1)}"
        converged = "converged" if self.status.ok else self.status.value
        head = (
            f"EM fit of {self.n_components} {self.covariance_type} component"
            f"{'s' * (self.n_components > 1)} to {self.observed.name} "
            f"({self.observed.n_rows} x {self.observed.n_features}{self._weighted}): "
            f"log-likelihood {self.log_likelihood:.4f}, BIC {self.bic:.4f}, {steps}, {converged}"
        )
        notes = [f"warning: {w}" for w in self.warnings]
        if self.set_aside and not self._few_starts:
            notes.append(
                f"note: {self.set_aside} of {len(self.restarts)} starts ended in spikes and were set aside"
            )
        return "\n".join([head, component_table(self), *notes])
