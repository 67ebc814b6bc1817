"""What the whole suite runs over: one line each for every structure and every prior, and ways to make examples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats

from bayesgmm.covariances import get_structure
from bayesgmm.mixture import Mixture
from bayesgmm.models.components import (
    HalfNormal,
    Hierarchical,
    Independent,
    LogNormal,
    NormalInverseWishart,
    NormalLKJ,
    RandomCentre,
)

STRUCTURES = ["full", "tied", "diag", "spherical"]
FIRST_QUICK = [STRUCTURES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in STRUCTURES[1:])]
"""For tests that compile much: everyday runs take the first structure, full runs all of them."""

COMPONENT_PRIORS = {
    "normal_inverse_wishart": NormalInverseWishart(),
    "normal_lkj_half_normal": NormalLKJ(),
    "normal_lkj_log_normal": NormalLKJ(scales=LogNormal()),
    "normal_lkj_given": NormalLKJ(mean=0.5, mean_scale=2.0, scales=HalfNormal(1.5), concentration=1.0),
    "independent": Independent(),
    "independent_given": Independent(mean=0.2, mean_scale=3.0, dof=6.0, scale=2.0),
    "hierarchical": Hierarchical(Independent(scale_dof=4.0), 1.5, 2.0),
    "random_centre_given": RandomCentre(NormalInverseWishart(dof=6.0, scale=2.0), 2.0, 3.0),
    "normal_inverse_wishart_given": NormalInverseWishart(mean=0.2, mean_precision=0.5, dof=6.0, scale=2.0),
}


def random_rows(rng, n=60, d=2, k=3, spread=4.0):
    """Rows (n, d) around k random centres: clusters that overlap a little."""
    centres = spread * rng.standard_normal((k, d))
    return centres[rng.integers(k, size=n)] + rng.standard_normal((n, d)) * rng.uniform(0.5, 1.5, d)


def random_covariances(structure, rng, k, d, lead=()):
    """Positive definite covariances in the structure's own shape, eigenvalues within about [0.3, 10]."""
    root = rng.standard_normal((*lead, k, d, d))
    dense = root @ root.swapaxes(-1, -2) / d + 0.3 * np.eye(d)
    return np.ascontiguousarray(get_structure(structure).project(dense))


def random_mixture(structure, rng, k=3, d=2, lead=()):
    """A mixture with random parameters; ``lead`` axes of restarts or draws."""
    weights = rng.dirichlet(np.full(k, 3.0), size=lead)
    covariances = random_covariances(structure, rng, k, d, lead)
    return Mixture(
        get_structure(structure), np.log(weights), 2 * rng.standard_normal((*lead, k, d)), covariances
    )


def component_log_density(mixture, rows):
    """Log density (N, K) of each component without its weight, by SciPy: no part of it is ours."""
    k, d = mixture.means.shape
    dense = np.asarray(mixture.structure.dense(np.asarray(mixture.covariances), k, d))
    columns = [
        scipy.stats.multivariate_normal(m, c, allow_singular=False).logpdf(rows).reshape(len(rows))
        for m, c in zip(np.asarray(mixture.means), dense, strict=True)
    ]
    return np.stack(columns, axis=1)


def weighted_log_density(mixture, rows):
    """Log weight plus log density (N, K), by SciPy."""
    return np.asarray(mixture.log_weights) + component_log_density(mixture, rows)


def log_density(mixture, rows):
    """Log density (N,) of the mixture, by SciPy."""
    return scipy.special.logsumexp(weighted_log_density(mixture, rows), axis=1)


def responsibilities(mixture, rows):
    """Posterior probabilities (N, K) of the components, by SciPy."""
    return scipy.special.softmax(weighted_log_density(mixture, rows), axis=1)
