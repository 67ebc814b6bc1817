"""The lists of cases are complete: whatever is registered is tested."""

from cases import COMPONENT_PRIORS
from cases import STRUCTURES as NAMES

from bayesgmm.covariances import STRUCTURES
from bayesgmm.models import components
from bayesgmm.models.components import ComponentPrior


def test_every_registered_structure_is_a_case():
    assert sorted(NAMES) == sorted(STRUCTURES)


def test_every_component_prior_is_a_case():
    exported = {vars(components)[name] for name in components.__all__}
    priors = {c for c in exported if isinstance(c, type) and issubclass(c, ComponentPrior)} - {ComponentPrior}
    assert {type(prior) for prior in COMPONENT_PRIORS.values()} == priors
