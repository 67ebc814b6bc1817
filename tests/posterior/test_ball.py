"""The credible ball: its coverage, its bounds, its limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posterior.partitions import random_draws

from bayesgmm.posterior.ball import credible_ball, n_moved
from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.losses import distance, get_loss, losses_to_draws
from bayesgmm.posterior.point import find_point


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), level=st.floats(0.05, 1.0))
def test_the_ball_is_the_smallest_that_holds_the_level(seed, level):
    draws = as_label_draws(random_draws(np.random.default_rng(seed), s=40, n=9))
    centre = find_point(draws, n_starts=1).labels
    ball = credible_ball(centre, draws, level=level)
    assert ball.coverage >= level - 1e-12
    assert draws.weights[ball.distances < ball.radius - 1e-9].sum() < level
    assert ball.horizontal.distance == pytest.approx(ball.radius)
    inside = ball.distances <= ball.radius + 1e-9
    assert ball.upper_vertical.n_clusters == draws.n_clusters[inside].min()
    assert ball.lower_vertical.n_clusters == draws.n_clusters[inside].max()
    for bound in (ball.horizontal, ball.upper_vertical, ball.lower_vertical):
        same_count = inside & (draws.n_clusters == bound.n_clusters)
        assert bound.distance == pytest.approx(distance(centre, bound.labels))
        assert bound.distance == pytest.approx(ball.distances[same_count].max())
    for bound in (ball.upper_vertical, ball.lower_vertical):
        assert 1 <= bound.n_tied <= (inside & (draws.n_clusters == bound.n_clusters)).sum()


def test_a_ball_by_hand():
    draws = [[0, 0, 0, 0]] * 6 + [[0, 0, 1, 1]] * 3 + [[0, 1, 2, 3]]
    ball = credible_ball([0, 0, 0, 0], draws, level=0.9)
    assert (ball.radius, ball.coverage) == (pytest.approx(1.0), pytest.approx(0.9))
    assert ball.horizontal.labels.tolist() == ball.lower_vertical.labels.tolist() == [0, 0, 1, 1]
    assert ball.upper_vertical.n_clusters == 1
    assert ball.quantile([0.5, 0.9, 1.0]) == pytest.approx([0, 1, 2])
    assert credible_ball([0, 0, 0, 0], draws, level=1.0).radius == pytest.approx(2.0)


@given(seed=st.integers(0, 2**32 - 1))
def test_as_few_rows_move_as_any_pairing_allows(seed):
    """Every pairing of four clusters with four, by enumeration."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 4, (2, 12))
    least = min(np.sum(np.array(pairing)[one] != other) for pairing in itertools.permutations(range(4)))
    assert n_moved(one, other) == n_moved(other, one) == least


def test_bounds_that_differ_by_few_rows_do_not_read_alike():
    draws = [[0, 0, 0, 0, 1, 1, 1, 1]] * 8 + [
        [0, 0, 0, 0, 0, 1, 1, 1],
        [0, 0, 0, 1, 1, 1, 1, 1],
        [0, 1, 2, 3, 4, 5, 6, 7],
    ]
    ball = credible_ball(draws[0], draws, level=0.9)
    assert [bound.n_moved for bound in (ball.horizontal, ball.upper_vertical)] == [1, 1]
    told = repr(ball)
    assert "rows moved" in told and "unlike the farthest" in told
    whole = credible_ball(draws[0], draws, level=1.0)
    farthest, coarsest, finest = repr(whole).splitlines()[-3:]
    assert farthest.split()[3:5] == finest.split()[3:5] == ["6", "0"]
    assert coarsest.split()[3:5] == ["1", "6"]


def test_distances_are_symmetric_whatever_the_prices():
    draws = as_label_draws(random_draws(np.random.default_rng(0), s=20, n=8))
    priced = get_loss("binder", a=0.5, b=1.5)
    ball = credible_ball(np.zeros(8, int), draws, loss=priced)
    assert np.array_equal(ball.distances, losses_to_draws(np.zeros(8, int), draws, "binder"))


@pytest.mark.parametrize("level", [0.0, 1.5, -1])
def test_level_outside(level):
    with pytest.raises(ValueError, match="Expected level to be a number above 0 and at most 1"):
        credible_ball([0, 0], [[0, 1]], level=level)
