"""Priors of the components, one file each, and the names under which the literature knows them."""

from bayesgmm.models.components.component_prior import ComponentPrior, DataMoments
from bayesgmm.models.components.normal_inverse_wishart import NormalInverseWishart, fraley_raftery
from bayesgmm.models.components.normal_lkj import NormalLKJ
from bayesgmm.models.components.scales import HalfNormal, LogNormal

__all__ = [
    "ComponentPrior",
    "DataMoments",
    "HalfNormal",
    "LogNormal",
    "NormalInverseWishart",
    "NormalLKJ",
    "fraley_raftery",
]
