"""k-means as EM starts with it: clusters found, as good as scikit-learn's, and what is degenerate."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from bayesgmm.inference.k_means import k_means, spread_centres


def spread_within(rows, labels):
    """Sum of squared distances to the clusters' means."""
    return sum(np.sum((part - part.mean(axis=0)) ** 2) for part in (rows[labels == j] for j in set(labels)))


def test_separated_clusters_are_found():
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=400)
    rows = 100.0 * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[truth] - 50.0 + rng.standard_normal((400, 2))
    labels = k_means(rows, 4, rng)
    assert len({*zip(truth.tolist(), labels.tolist(), strict=True)}) == 4


def test_it_is_as_good_as_scikit_learns():
    """Means of twenty runs each; fixed seeds."""
    rows = np.random.default_rng(1).standard_normal((600, 5))
    ours = [spread_within(rows, k_means(rows, 6, np.random.default_rng(seed))) for seed in range(20)]
    theirs = [KMeans(6, n_init=1, random_state=seed).fit(rows).inertia_ for seed in range(20)]
    assert np.mean(ours) < 1.01 * np.mean(theirs)


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 7])
def test_no_more_clusters_than_distinct_rows(n_clusters):
    rows = np.repeat([[0.1, 0.7], [-0.3, 0.2], [1 / 3, -0.9]], 5, axis=0)
    labels = k_means(rows, n_clusters, np.random.default_rng(0))
    assert len(set(labels)) == min(n_clusters, 3)
    assert len(np.unique(spread_centres(rows, n_clusters, np.random.default_rng(0)), axis=0)) == min(
        n_clusters, 3
    )
