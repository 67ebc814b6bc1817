"""A fit by EM as the information criteria see it."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.criteria import information
from bayesgmm.inference.em.degeneracy import floor_of
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.start import mixtures_from_responsibilities
from bayesgmm.posterior.predict import pointwise_log_density


@dataclasses.dataclass(frozen=True, eq=False)
class Maximum:
    """What the formulas of ``CRITERIA`` ask for; what takes time is computed when it is first asked for.

    Attributes
    ----------
    fit : by EM
    """

    fit: EMResult

    @property
    def log_likelihood(self) -> float:
        return self.fit.log_likelihood

    @property
    def n_parameters(self) -> int:
        return self.fit.n_parameters

    @property
    def n_rows(self) -> float:
        return self.fit.n_rows

    @property
    def bic(self) -> float:
        return self.fit.bic

    @cached_property
    def _responsibilities(self) -> NDArray[np.float64]:
        return self.fit.predict_proba()

    @property
    def entropy(self) -> float:
        """Entropy of the classification, in nats."""
        return information.entropy(self._responsibilities, self.fit.sample_weight)

    @property
    def surprise(self) -> float:
        """Minus the log of the largest responsibility, summed over the rows."""
        return information.surprise(self._responsibilities, self.fit.sample_weight)

    @cached_property
    def log_likelihood_of_one(self) -> float:
        """The maximum for one component of the same structure, in closed form."""
        fit = self.fit
        if fit.n_components == 1:
            return fit.log_likelihood
        problem, structure = fit.problem, fit.mixture.structure
        everything = fit.sample_weight[None, None]
        one = mixtures_from_responsibilities(structure, problem.rows, everything, shrink=False)
        covariances = structure.regularise(one.covariances, floor_of(fit.engine, problem))
        one = dataclasses.replace(one, covariances=covariances)
        density = pointwise_log_density(one, problem.rows)[0]
        return float(density @ fit.sample_weight) - problem.log_jacobian


def information_criteria(em: Any) -> dict[str, float]:
    """Every information criterion of a fit by EM, by name; smaller is better.

    AIC (Akaike 1974), AICc (Hurvich & Tsai 1989), BIC (Schwarz 1978), ICL by the entropy and by the hard
    classification (Biernacki, Celeux & Govaert 2000), and NEC (Celeux & Soromenho 1996).

    Raises a TypeError if ``em`` is not a fit by EM.
    """
    if not isinstance(em, EMResult):
        raise TypeError(
            f"Expected a fit by EM, since criteria need a maximum; got {type(em).__name__}. "
            "Posteriors have bayesgmm.loo and bayesgmm.waic."
        )
    maximum = Maximum(em)
    return {name: criterion.formula(maximum) for name, criterion in information.CRITERIA.items()}
