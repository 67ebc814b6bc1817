"""What is believed: the generative programs, as callable NumPyro models."""

from bayesgmm.models import components, weights
from bayesgmm.models.mixture import FiniteMixture, finite_mixture
from bayesgmm.models.overfitted import (
    dirichlet_process_mixture,
    mixture_of_finite_mixtures,
    pitman_yor_mixture,
    sparse_mixture,
)

__all__ = [
    "FiniteMixture",
    "components",
    "dirichlet_process_mixture",
    "finite_mixture",
    "mixture_of_finite_mixtures",
    "pitman_yor_mixture",
    "sparse_mixture",
    "weights",
]
