"""Priors of the mixing weights, one file each, and priors of the number of components."""

from bayesgmm.models.weights.dirichlet import Dirichlet
from bayesgmm.models.weights.f_distribution import F
from bayesgmm.models.weights.finite_mixtures import MixtureOfFiniteMixtures
from bayesgmm.models.weights.gamma import Gamma
from bayesgmm.models.weights.number_prior import (
    NumberPrior,
    beta_negative_binomial,
    geometric,
    shifted_poisson,
    truncated_poisson,
    uniform,
)
from bayesgmm.models.weights.sparse import SparseDirichlet
from bayesgmm.models.weights.stick_breaking import StickBreaking
from bayesgmm.models.weights.weight_prior import WeightPrior

__all__ = [
    "Dirichlet",
    "F",
    "Gamma",
    "MixtureOfFiniteMixtures",
    "NumberPrior",
    "SparseDirichlet",
    "StickBreaking",
    "WeightPrior",
    "beta_negative_binomial",
    "geometric",
    "shifted_poisson",
    "truncated_poisson",
    "uniform",
]
