"""Priors that the literature knows by name: their published settings, from the data alone."""

import numpy as np
import pytest
from cases import random_rows

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.models import components, weights
from bayesgmm.models.components import Hierarchical, Independent, NormalInverseWishart, RandomCentre


def resolved(prior, rows, structure="full", k=3):
    return models.finite_mixture(k, structure, components=prior).resolve(rows).components


@pytest.mark.parametrize("structure", ["full", "diag", "spherical"])
def test_richardson_green(cases, structure):
    """Their program's own log: xi 21.73, kappa 1.586e-3, h 1.586e-2 on galaxies; alpha 2, g .2."""
    log = " ".join(cases("C_number_of_components")["galaxy_26.96 (R&G data)"]["log_tail"])
    assert "21.73" in log
    assert "0.1586E-02" in log
    prior = resolved(components.richardson_green(), bg.load_dataset("galaxies_26.96").to_numpy(), structure)
    assert prior.mean == pytest.approx(21.73, abs=0.005)
    assert prior.mean_scale**-2 == pytest.approx(1.586e-3, rel=1e-3)
    assert (prior.dof / 2, prior.scale_dof / 2) == (2.0, 0.2)
    assert np.ravel(prior.scale_rate) == pytest.approx(
        1.586e-2, rel=1e-3
    )  # of beta = scale / 2 ~ Gamma(g, h)


def test_malsiner_walli():
    rows = random_rows(np.random.default_rng(0), n=41, d=3)
    extent = np.ptp(rows, axis=0)
    prior = resolved(components.malsiner_walli(), rows)
    c0, g0 = 2.5 + 1.0, 0.5 + 1.0
    assert (prior.shape, prior.rate) == (0.5, 0.5)
    np.testing.assert_allclose(prior.base.mean, np.median(rows, axis=0))
    np.testing.assert_allclose(prior.base.mean_scale, extent)
    assert (prior.base.dof, prior.base.scale_dof) == (2 * c0, 2 * g0)
    np.testing.assert_allclose(prior.base.scale_rate, 100 * g0 / c0 * np.diag(extent**-2.0), rtol=1e-12)
    assert isinstance(components.malsiner_walli(shrink=False), Independent)


def test_chib():
    """mu ~ N(20, 100), sigma^2 ~ InvGamma(3, 20)."""
    prior = resolved(components.chib(), bg.load_dataset("galaxies_26.96").to_numpy())
    assert (prior.mean, prior.mean_scale**2, prior.dof / 2, np.ravel(prior.scale) / 2) == (20, 100, 3, 20)


def test_escobar_west():
    """sigma^-2 ~ Gamma(2, 1), 1 / tau ~ Gamma(1 / 2, 50)."""
    rows = bg.load_dataset("galaxies_26.96").to_numpy()
    prior = resolved(components.escobar_west(), rows)
    assert (prior.base.dof / 2, np.ravel(prior.base.scale) / 2) == (2, 1)
    assert (prior.shape, prior.rate) == (0.5, 50)
    assert prior.mean == pytest.approx(rows.mean())


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (lambda: Independent(scale=1.0, scale_dof=3.0), "either scale"),
        (lambda: Independent(mean_scale=-1.0), "mean_scale"),
        (lambda: Independent(dof=0.5), "dof above 1"),
        (lambda: Independent(scale=[[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        (lambda: Independent(scale=np.ones(3)), "scale of shape"),
        (lambda: Hierarchical(NormalInverseWishart()), "base"),
        (lambda: Hierarchical(shape=0.0), "shape above 0"),
        (lambda: RandomCentre(Independent()), "base"),
        (lambda: RandomCentre(rate=-1.0), "rate above 0"),
    ],
)
def test_what_is_refused(prior, words):
    rows = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises((ValueError, TypeError), match=words):
        models.finite_mixture(2, components=prior()).resolve(rows)


def test_the_models_compose_their_priors():
    prior = components.richardson_green()
    dp = models.dirichlet_process_mixture(7, "diag", concentration=weights.Gamma(2.0, 4.0), components=prior)
    assert (dp.n_components, dp.covariance_type) == (7, "diag")
    assert dp.components is prior
    assert models.pitman_yor_mixture(discount=0.1).weights.discount == 0.1
    assert models.mixture_of_finite_mixtures(number=weights.uniform(9)).n_components == 9
    assert models.sparse_mixture(4).weights.concentration == 0.01
    with pytest.raises(ValueError, match="truncation of at least 1"):
        models.dirichlet_process_mixture(0)
    with pytest.raises(TypeError, match="dynamic"):
        models.mixture_of_finite_mixtures(dynamic=1)
