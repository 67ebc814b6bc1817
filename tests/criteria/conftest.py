"""Posteriors without a sampler: one component under the conjugate prior, whose draws are exact and independent."""

import numpy as np
import pytest
import scipy.stats

import bayesgmm as bg
from bayesgmm.covariances import get_structure
from bayesgmm.inference.fit import fit, prepare
from bayesgmm.inference.gradient.nuts import NUTS
from bayesgmm.mixture import Mixture
from bayesgmm.models import finite_mixture
from bayesgmm.posterior.assemble import assemble

CHAINS, DRAWS = 4, 500


def updated(prior, rows):
    """The normal-inverse-Wishart's parameters after the rows (Gelman et al. 2013, section 3.6)."""
    n, mean = len(rows), rows.mean(axis=0)
    kappa = float(prior.mean_precision)
    centred, shift = rows - mean, mean - prior.mean
    scatter = centred.T @ centred + kappa * n / (kappa + n) * np.outer(shift, shift)
    scale = np.asarray(prior.scale)
    scale = scale + (scatter if scale.ndim == 2 else np.diag(scatter))
    return (kappa * prior.mean + n * mean) / (kappa + n), kappa + n, float(prior.dof) + n, scale


def exact_draws(structure, prior, rows, rng):
    """Means (chains, draws, 1, D) and covariances in the structure's shape."""
    mean, kappa, dof, scale = updated(prior, rows)
    shape = (CHAINS, DRAWS)
    if structure == "full":
        covariances = (
            scipy.stats.invwishart(dof, scale).rvs(CHAINS * DRAWS, random_state=rng).reshape(*shape, 1, 2, 2)
        )
        tril = np.linalg.cholesky(covariances / kappa)
        noise = np.einsum("...ij,...j->...i", tril, rng.standard_normal((*shape, 1, 2)))
    else:
        covariances = scipy.stats.invgamma(dof / 2, scale=scale / 2).rvs((*shape, 2), random_state=rng)[
            :, :, None
        ]
        noise = np.sqrt(covariances / kappa) * rng.standard_normal((*shape, 1, 2))
    return mean + noise, covariances


def exact_posterior(structure, rows, seed=0):
    problem = prepare(rows, finite_mixture(1, structure), random_state=seed)
    rng = np.random.default_rng(seed)
    means, covariances = exact_draws(structure, problem.model.components, problem.observed.rows, rng)
    draws = Mixture(get_structure(structure), np.zeros((CHAINS, DRAWS, 1)), means, covariances)
    scale, shift = problem.standardisation.scale, problem.standardisation.shift
    numbers = rng.standard_normal((CHAINS, DRAWS))
    stats = {
        "lp": numbers,
        "energy": -numbers,
        "n_steps": np.ones((CHAINS, DRAWS)),
        "jump_gradients": np.zeros((CHAINS, DRAWS)),
        "diverging": np.zeros((CHAINS, DRAWS), bool),
    }
    start = fit(problem.observed, finite_mixture(1, structure))
    return assemble(
        problem, NUTS(), start, draws.rescale(1 / scale, -shift / scale), stats, {}, {"sampling": 1.5}
    )


@pytest.fixture(scope="session")
def rows():
    return bg.load_dataset("faithful").iloc[:80]


@pytest.fixture(scope="session")
def full(rows):
    return exact_posterior("full", rows)


@pytest.fixture(scope="session")
def diag(rows):
    return exact_posterior("diag", rows, seed=1)
