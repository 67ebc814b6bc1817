"""Rows of three clusters, Student-t or Gaussian."""

import numpy as np

CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])


def three_clusters(n, seed, dof=4.0):
    """(n, 2): spherical clusters of equal weight, 8 scales apart, of so many degrees of freedom."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 2))
    labels = rng.integers(3, size=n)
    scale = np.ones(n) if np.isinf(dof) else np.sqrt(rng.chisquare(dof, size=n) / dof)
    return CENTRES[labels] + rows / scale[:, None]
