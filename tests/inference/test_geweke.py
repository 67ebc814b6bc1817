"""Every Gibbs kernel leaves its joint distribution alone (Geweke 2004), and a wrong prior is caught."""

import numpy as np
import pytest
from inference.geweke import smallest_p_value

from bayesgmm import models
from bayesgmm.inference.gibbs import split_merge
from bayesgmm.models import weights
from bayesgmm.models.components import Hierarchical, Independent, NormalInverseWishart, RandomCentre

CONJUGATE = NormalInverseWishart(mean=0.5, mean_precision=0.5, dof=7.0, scale=2.0)
FIXED = Independent(mean=0.5, mean_scale=1.5, dof=7.0, scale=2.0)
RANDOM = Independent(mean=0.5, mean_scale=1.5, dof=7.0, scale_dof=6.0, scale_rate=3.0)
GAMMA = weights.Gamma(3.0, 2.0)
NUMBER = weights.shifted_poisson(1.0, 5)

MODELS = {
    **{
        f"finite, conjugate, {s}": models.finite_mixture(3, s, components=CONJUGATE)
        for s in ("full", "tied", "diag", "spherical")
    },
    "finite, fixed scale": models.finite_mixture(3, components=FIXED),
    **{
        f"finite, random scale, {s}": models.finite_mixture(3, s, components=RANDOM)
        for s in ("full", "tied", "diag", "spherical")
    },
    "finite, random spread": models.finite_mixture(3, "diag", components=Hierarchical(RANDOM, 1.5, 2.0)),
    "finite, random centre": models.finite_mixture(
        3, components=RandomCentre(NormalInverseWishart(dof=7.0, scale=2.0), 3.0, 2.0, 0.5, 1.5)
    ),
    "sparse, random concentration": models.sparse_mixture(
        4, "diag", concentration=GAMMA, components=CONJUGATE
    ),
    "sparse, random centre": models.sparse_mixture(
        4,
        "diag",
        concentration=GAMMA,
        components=RandomCentre(NormalInverseWishart(dof=7.0, scale=2.0), 3.0, 2.0, 0.5, 1.5),
    ),
    "Dirichlet process": models.dirichlet_process_mixture(5, components=CONJUGATE),
    "Dirichlet process, random concentration": models.dirichlet_process_mixture(
        5, "diag", concentration=GAMMA, components=RANDOM
    ),
    "Pitman-Yor": models.pitman_yor_mixture(
        5, "diag", concentration=GAMMA, discount=0.4, components=CONJUGATE
    ),
    "telescoping, static": models.mixture_of_finite_mixtures(number=NUMBER, components=CONJUGATE),
    "telescoping, static, random": models.mixture_of_finite_mixtures(
        "diag", number=NUMBER, concentration=GAMMA, components=RANDOM
    ),
    "telescoping, dynamic": models.mixture_of_finite_mixtures(
        "diag", number=NUMBER, concentration=weights.F(), dynamic=True, components=CONJUGATE
    ),
}


def settled(model):
    """Resolved on rows that matter only for hyperparameters that were left open; here there are none."""
    return model.resolve(np.random.default_rng(0).normal(size=(20, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_joint_distribution_is_left_alone(name):
    """At most 11 statistics a model, 19 models: fails by chance 2e-4."""
    p, statistic = smallest_p_value(settled(MODELS[name]))
    assert p > 1e-6, statistic


MOVED = (
    "finite, conjugate, full",
    "Dirichlet process",
    "Pitman-Yor",
    "telescoping, static, random",
    "telescoping, dynamic",
    "sparse, random centre",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVED)
def test_the_joint_distribution_is_left_alone_by_split_merge_moves(name):
    """At most 11 statistics a model: fails by chance 4e-5."""
    p, statistic = smallest_p_value(settled(MODELS[name]), moves=True)
    assert p > 1e-6, statistic


@pytest.mark.slow
def test_a_wrong_acceptance_of_split_merge_moves_is_caught(monkeypatch):
    right = split_merge._log_proposed
    monkeypatch.setattr(split_merge, "_log_proposed", lambda *arguments: right(*arguments) + 2.0)
    p, _ = smallest_p_value(settled(MODELS["Dirichlet process"]), moves=True)
    assert p < 1e-6


WRONG = {
    "scale": (
        "finite, conjugate, full",
        models.finite_mixture(3, components=NormalInverseWishart(0.5, 0.5, 7.0, 2.4)),
    ),
    "number": (
        "telescoping, static",
        models.mixture_of_finite_mixtures(number=weights.shifted_poisson(1.3, 5), components=CONJUGATE),
    ),
    "concentration": (
        "Dirichlet process",
        models.dirichlet_process_mixture(5, concentration=1.4, components=CONJUGATE),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_prior_is_caught(what):
    name, wrong = WRONG[what]
    p, _ = smallest_p_value(settled(MODELS[name]), settled(wrong))
    assert p < 1e-6
