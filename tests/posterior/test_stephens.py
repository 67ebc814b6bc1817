"""Stephens' relabelling: his loss at its minimum over all labellings, and nothing but labels changed."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesgmm.mixture import Mixture
from bayesgmm.posterior.relabel import with_components_permuted
from bayesgmm.posterior.stephens import stephens_order


def loss(p):
    """Stephens (2000), section 4.1: sum over draws and rows of p log(p / q), q the mean of p (S, N, K) over draws."""
    q = np.broadcast_to(p.mean(axis=0), p.shape)
    held = p > 0
    return (p[held] * np.log(p[held] / q[held])).sum()


def memberships(fit):
    """All draws' memberships (S, N, K) by SciPy."""
    rows = fit.standardisation.forward(fit.observed.rows)
    draws = fit.draws
    density = [
        [
            np.exp(w) * multivariate_normal(m, c).pdf(rows)
            for w, m, c in zip(weights, means, covariances, strict=True)
        ]
        for weights, means, covariances in zip(draws.log_weights, draws.means, draws.covariances, strict=True)
    ]
    p = np.moveaxis(np.array(density), 1, 2)
    return p / p.sum(axis=-1, keepdims=True)


def overlapping(posterior, k, s, seed):
    """The posterior with draws in its place whose components overlap, in labellings of their own."""
    rng = np.random.default_rng(seed)
    means = 0.8 * np.arange(k)[:, None] * [1.0, 1.0] + 0.3 * rng.standard_normal((s, k, 2))
    weights = rng.dirichlet(np.full(k, 8.0), s)
    covariances = np.broadcast_to(0.5 * np.eye(2), (s, k, 2, 2)) * rng.uniform(0.6, 1.6, (s, k, 1, 1))
    draws = Mixture(posterior.draws.structure, np.log(weights), means, covariances)
    return dataclasses.replace(
        posterior, draws=draws.permute(np.array([rng.permutation(k) for _ in range(s)]))
    )


@pytest.mark.parametrize(("k", "s"), [(2, 10), (3, 4)])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_minimum_over_all_labellings(posterior, k, s, seed):
    fit = overlapping(posterior, k, s, seed)
    p = memberships(fit)
    orders = [np.array(order) for order in itertools.permutations(range(k))]
    every = min(
        loss(np.stack([p[0], *[draw[:, order] for draw, order in zip(p[1:], way, strict=True)]]))
        for way in itertools.product(orders, repeat=s - 1)
    )
    found = stephens_order(fit)
    assert loss(np.take_along_axis(p, found[:, None, :], axis=2)) == pytest.approx(every, rel=1e-9)


def test_permuted_draws_come_back_as_ecr_left_them_where_clusters_are_apart(posterior):
    rng = np.random.default_rng(0)
    shuffle = np.array([rng.permutation(2) for _ in posterior.draws.log_weights])
    shuffled = dataclasses.replace(
        posterior,
        draws=posterior.draws.permute(shuffle),
        data=with_components_permuted(posterior.data, shuffle),
    )
    assert np.abs(shuffled.means[0] - shuffled.means[1]).max() < 5  # labels mixed: about the same means
    back = shuffled.relabelled_by_stephens()
    order = slice(None) if np.allclose(back.weights, posterior.weights) else slice(None, None, -1)
    np.testing.assert_array_equal(
        back.data["posterior"]["covariances"].values[:, :, order], posterior.data["posterior"]["covariances"]
    )
    np.testing.assert_array_equal(
        back.data["clustering"]["drawn_sizes"].values[:, :, order],
        posterior.data["clustering"]["drawn_sizes"],
    )
    np.testing.assert_array_equal(back.draws.means[:, order], posterior.draws.means)
