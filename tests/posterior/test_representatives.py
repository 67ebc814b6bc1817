"""Several partitions where one does not speak for the posterior."""

import numpy as np
import pytest
from posterior.partitions import random_draws, same_partition

from bayesgmm.posterior.losses import distance, losses_to_draws
from bayesgmm.posterior.partition import partition
from bayesgmm.posterior.point import find_point
from bayesgmm.posterior.representatives import find_representatives
from bayesgmm.tables import number


def camps(weights, n=60, s=200, noise=0.03, seed=0):
    """Draws around several quite different partitions, in these shares."""
    rng = np.random.default_rng(seed)
    centres = [
        np.arange(n) % (2 + i) if i % 2 else np.arange(n) // (n // (2 + i)) for i in range(len(weights))
    ]
    draws = np.repeat(np.array(centres), np.round(s * np.array(weights)).astype(int), axis=0)
    thrown = rng.random(draws.shape) < noise
    return np.where(thrown, rng.integers(0, 3, draws.shape), draws), centres


@pytest.mark.parametrize("weights", [(0.7, 0.3), (0.5, 0.3, 0.2)])
@pytest.mark.parametrize("loss", ["variation_of_information", "binder", "one_minus_adjusted_rand"])
def test_camps_are_found_with_their_weights(weights, loss):
    draws, centres = camps(weights)
    found = find_representatives(draws, find_point(draws, loss, n_starts=2).labels, loss)
    assert found.weights == pytest.approx(weights, abs=0.01)
    assert all(same_partition(a, b) for a, b in zip(found.labels, centres, strict=True))
    assert (np.diff(found.path) < 0).all()


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.4])
def test_one_camp_has_one_representative(noise):
    draws, _ = camps((1.0,), noise=noise)
    point = find_point(draws, n_starts=2)
    found = find_representatives(draws, point.labels)
    assert len(found.weights) == 1
    assert np.array_equal(found.labels[0], point.labels)
    assert found.expected_losses[0] == pytest.approx(point.expected_loss)


def test_a_number_on_request():
    draws = random_draws(np.random.default_rng(2), s=100, n=20, noise=0.3)
    point = find_point(draws, n_starts=2)
    found = find_representatives(draws, point.labels, n_representatives=3)
    assert len(found.weights) == 3
    assert found.weights.sum() == pytest.approx(1)
    assert (np.diff(found.weights) <= 0).all()
    near = np.min([losses_to_draws(one, draws) for one in found.labels], axis=0)
    assert found.weights @ found.expected_losses == pytest.approx(near.mean(), abs=0.05)
    assert found.weights @ found.expected_losses < point.expected_loss
    with pytest.raises(ValueError, match="Expected n_representatives to be an integer of at least 1"):
        find_representatives(draws, point.labels, n_representatives=0)


def test_draws_that_are_all_one():
    found = find_representatives([[0, 0, 1]] * 4, [0, 0, 1], n_representatives=3)
    assert len(found.weights) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_bound_on_clusters_holds_for_all(most):
    """The camps have two and three clusters, and draws of them more."""
    draws, _ = camps((0.6, 0.4))
    point = find_point(draws, max_clusters=most, n_starts=2)
    found = find_representatives(draws, point.labels, max_clusters=most)
    assert found.labels.max() < most
    assert len(found.weights) == min(most, 2)
    forced = find_representatives(draws, point.labels, max_clusters=most, n_representatives=2)
    assert forced.labels.max() < most


def test_they_say_how_far_apart_they_lie():
    draws, centres = camps((0.7, 0.3))
    found = find_representatives(draws, find_point(draws, n_starts=2).labels)
    assert found.distances[0, 1] == found.distances[1, 0] == pytest.approx(distance(*centres))
    assert np.array_equal(np.diagonal(found.distances), [0, 0])
    told = repr(found).splitlines()
    assert told[0] == "2 partitions stand for the draws, each for those nearest to it"
    assert told[1].split()[-4:] == ["to", "0", "to", "1"]
    assert told[3].split()[1:4] == ["70", "%", "30/30"] and number(found.distances[0, 1]) in told[3]
    assert number(found.distances[0, 1], 3) + " bits apart" in repr(partition(draws, n_starts=2))
    alone = find_representatives([[0, 0, 1]] * 4, [0, 0, 1])
    assert repr(alone).startswith("1 partition stands for all draws")
