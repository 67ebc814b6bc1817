"""Priors of the mixing weights, one file each."""

from bayesgmm.models.weights.dirichlet import Dirichlet

__all__ = ["Dirichlet"]
