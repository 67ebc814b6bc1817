"""Priors of the components, one file each, and the names under which the literature knows them."""

from bayesgmm.models.components.component_prior import ComponentPrior, DataMoments
from bayesgmm.models.components.hierarchical import Hierarchical, malsiner_walli
from bayesgmm.models.components.independent import Independent, chib, richardson_green
from bayesgmm.models.components.normal_inverse_wishart import NormalInverseWishart, fraley_raftery
from bayesgmm.models.components.normal_lkj import NormalLKJ
from bayesgmm.models.components.random_centre import RandomCentre, escobar_west
from bayesgmm.models.components.scales import HalfNormal, LogNormal

__all__ = [
    "ComponentPrior",
    "DataMoments",
    "HalfNormal",
    "Hierarchical",
    "Independent",
    "LogNormal",
    "NormalInverseWishart",
    "NormalLKJ",
    "RandomCentre",
    "chib",
    "escobar_west",
    "fraley_raftery",
    "malsiner_walli",
    "richardson_green",
]
