"""Label draws by chain: chains that tell something else are named."""

import numpy as np
import pytest

from bayesgmm.posterior.label_chains import potential_scale_reduction
from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.partition import partition


def test_r_hat_by_hand():
    """Two chains of four draws: means 1.5 and 2.5, so B / n = .5; W = 5 / 3; n = 4."""
    by_chain = np.array([[0.25, 0.25, 0.25, 0.25, 0.0], [0.0, 0.25, 0.25, 0.25, 0.25]])
    found = potential_scale_reduction(by_chain, np.arange(5.0), 4)
    assert found == pytest.approx(np.sqrt(3 / 4 + 0.5 / (5 / 3)))
    apart = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert potential_scale_reduction(apart, np.array([0.0, 1.0]), 4) == np.inf
    assert potential_scale_reduction(apart, np.array([1.0, 1.0]), 4) == 1.0
    assert np.isnan(potential_scale_reduction(apart[:1], np.array([0.0, 1.0]), 4))


def test_chains_are_kept_and_their_disagreement_told():
    rng = np.random.default_rng(0)
    one, other = np.repeat([0, 1], 20), np.arange(40) % 2

    def noisy(labels):
        return np.where(rng.random((300, 40)) < 0.05, 1 - labels, labels)

    apart, alike = np.stack([noisy(one), noisy(other)]), np.stack([noisy(one), noisy(one)])
    draws = as_label_draws(apart)
    assert draws.n_draws == 600
    np.testing.assert_allclose(draws.by_chain.sum(axis=1), 1.0)
    np.testing.assert_allclose(draws.by_chain.mean(axis=0), draws.weights)
    told = [words for words in partition(apart, n_starts=2).warnings if "chains disagree" in words]
    assert len(told) == 1 and "R-hat" in told[0]
    # 300 independent draws a chain of one law: R-hat passes 1.05 where chi-squared of 1 passes 30, or 3 in 10 million.
    assert not [words for words in partition(alike, n_starts=2).warnings if "chains disagree" in words]
    assert as_label_draws(apart.reshape(600, 40)).by_chain is None


def test_a_bad_label_is_found_in_its_chain():
    draws = np.zeros((2, 3, 4))
    draws[1, 2, 3] = -1
    with pytest.raises(ValueError, match="chain 1, draw 2 at row 3"):
        as_label_draws(draws)
    with pytest.raises(ValueError, match=r"got -1 in draw 2 at row 3"):
        as_label_draws(draws[1])
