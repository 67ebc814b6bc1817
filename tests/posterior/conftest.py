"""One small posterior for the whole folder."""

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import models


@pytest.fixture(scope="session")
def posterior():
    """Four chains of 250 draws on 120 rows of Old Faithful."""
    rows = bg.load_dataset("faithful").iloc[:120]
    return bg.fit(rows, models.finite_mixture(2), bg.NUTS(num_samples=250), random_state=3)


@pytest.fixture(scope="session")
def dense_draws(posterior):
    """Weights (S, K), means (S, K, D) and covariances (S, K, D, D) in the user's units, straight from the tree."""
    group = posterior.data["posterior"]
    return [np.concatenate(group[name].values) for name in ("weights", "means", "covariances")]
