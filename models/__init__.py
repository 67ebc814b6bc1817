"""What is believed: the generative programs, as callable NumPyro models."""

from bayesgmm.models import components, weights
from bayesgmm.models.mixture import FiniteMixture, finite_mixture

__all__ = ["FiniteMixture", "components", "finite_mixture", "weights"]
