"""Losses between partitions: against direct comparisons of rows, scikit-learn, and their own axioms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from posterior.partitions import direct_expected, in_nats, random_draws
from sklearn.metrics import adjusted_rand_score, mutual_info_score, rand_score

from bayesgmm.posterior.label_draws import as_label_draws, by_size, canonical
from bayesgmm.posterior.losses import LOSSES, distance, expected_loss, get_loss, losses_to_draws

PRICED = ["variation_of_information", "binder", "normalised_binder"]
seeds = st.integers(0, 2**32 - 1)


def labels(n=12):
    return st.lists(st.integers(0, 5), min_size=n, max_size=n).map(np.array)


@pytest.mark.parametrize("name", LOSSES)
@given(seed=seeds)
def test_expected_loss_is_the_direct_one(name, seed):
    rng = np.random.default_rng(seed)
    draws = random_draws(rng, s=7, n=rng.integers(1, 15))
    candidate = rng.integers(0, 4, size=draws.shape[1])
    expected = direct_expected(candidate[None], draws, name)[0]
    assert expected_loss(candidate, draws, in_nats(name)) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", PRICED)
@pytest.mark.parametrize("a, b", [(0.5, 1.5), (1.7, 0.3)])
def test_unequal_prices(name, a, b):
    rng = np.random.default_rng(5)
    draws, candidate = random_draws(rng, s=50, n=20), rng.integers(0, 4, size=20)
    expected = direct_expected(candidate[None], draws, name, a, b)[0]
    assert expected_loss(candidate, draws, in_nats(name, a=a, b=b)) == pytest.approx(expected, abs=1e-10)


def test_prices_weigh_splitting_and_merging():
    apart, joined = np.arange(6), np.zeros(6, int)
    dear_splits = get_loss("binder", a=2.0, b=1.0)
    assert expected_loss(apart, joined[None], dear_splits) == 30
    assert expected_loss(joined, apart[None], dear_splits) == 15


@given(one=labels(), other=labels())
def test_against_scikit_learn(one, other):
    information = mutual_info_score(one, other)
    entropies = mutual_info_score(one, one), mutual_info_score(other, other)
    nats = get_loss("variation_of_information", unit="nats")
    assert distance(one, other, nats) == pytest.approx(sum(entropies) - 2 * information, abs=1e-10)
    bits = distance(one, other, "variation_of_information")
    assert bits == pytest.approx(distance(one, other, nats) / np.log(2), abs=1e-12)
    assert 1 - distance(one, other, "one_minus_adjusted_rand") == pytest.approx(
        adjusted_rand_score(one, other)
    )
    assert 1 - distance(one, other, "normalised_binder") == pytest.approx(rand_score(one, other))


@pytest.mark.parametrize("name", LOSSES)
@given(one=labels(), other=labels(), third=labels())
def test_axioms(name, one, other, third):
    d = distance(one, other, name)
    assert d >= 0
    assert distance(one, one, name) == pytest.approx(0, abs=1e-12)
    assert d == pytest.approx(distance(other, one, name), abs=1e-10)
    assert d == pytest.approx(distance(7 - one, 2 * other, name), abs=1e-12)
    if name != "one_minus_adjusted_rand":  # the others are metrics (Vinh, Epps & Bailey 2010, section 4)
        assert d <= distance(one, third, name) + distance(third, other, name) + 1e-9


@pytest.mark.parametrize("name", LOSSES)
def test_the_two_ends(name):
    n = 9
    joined, apart = np.zeros(n, int), np.arange(n)
    largest = {
        "variation_of_information": np.log2(n),
        "information_distance": np.log2(n),
        "binder": n * (n - 1) / 2,
    }.get(name, 1.0)
    assert distance(joined, apart, name) == pytest.approx(largest)
    assert distance(joined, joined, name) == distance(apart, apart, name) == 0
    assert distance([3], [1], name) == 0


def test_losses_to_draws_follow_the_distinct_draws():
    draws = as_label_draws(np.array([[0, 0, 1], [5, 5, 2], [1, 2, 3]]))
    assert draws.weights.tolist() == [2 / 3, 1 / 3]
    assert draws.n_draws == 3
    assert losses_to_draws([0, 0, 1], draws, "binder").tolist() == [0, 1]


@given(given_labels=labels())
def test_canonical_and_by_size(given_labels):
    first = canonical(given_labels[None])[0]
    assert np.array_equal(first[:, None] == first, given_labels[:, None] == given_labels)
    assert np.array_equal(first, canonical((9 - given_labels)[None])[0])
    sizes = np.bincount(by_size(given_labels))
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"loss": "rand"}, "Expected loss to be one of 'variation_of_information'"),
        ({"loss": "binder", "a": 0.0}, "Expected a to be finite and above 0"),
        ({"loss": "binder", "b": np.inf}, "Expected b to be finite"),
        ({"loss": "one_minus_adjusted_rand", "a": 2.0}, "Expected a = b = 1.*Losses with prices"),
        ({"loss": "variation_of_information", "unit": "bans"}, "Expected unit to be 'bits' or 'nats'"),
        ({"loss": "binder", "unit": "nats"}, "Expected no unit for loss='binder'"),
    ],
)
def test_what_is_no_loss(arguments, message):
    with pytest.raises(ValueError, match=message):
        get_loss(**arguments)


@pytest.mark.parametrize(
    "draws, error, message",
    [
        (np.zeros(5, int), ValueError, r"labels\[None, :\]"),
        (np.zeros((0, 5), int), ValueError, "at least one draw"),
        (np.array([[0, 0.5]]), ValueError, "Expected whole numbers as labels; got 0.5 in draw 0 at row 1"),
        (np.array([[0, np.nan]]), ValueError, "got nan in draw 0 at row 1"),
        (np.array([["a", "b"]]), TypeError, "numpy.unique"),
    ],
)
def test_what_is_no_label_matrix(draws, error, message):
    with pytest.raises(error, match=message):
        as_label_draws(draws)


def test_draws_of_other_shapes():
    draws = random_draws(np.random.default_rng(0), s=12, n=5)
    flat = as_label_draws(draws)
    assert np.array_equal(as_label_draws(draws.reshape(3, 4, 5)).labels, flat.labels)
    assert np.array_equal(as_label_draws(draws.astype(float)).labels, flat.labels)
    weighed = as_label_draws(np.concatenate([draws, draws + 1]), weights=np.repeat([1.0, 0.0], 12))
    assert np.array_equal(weighed.labels, flat.labels)
    with pytest.raises(ValueError, match=r"weights of shape \(12,\)"):
        as_label_draws(draws, weights=np.ones(3))
    with pytest.raises(ValueError, match="partition of the 5 rows"):
        losses_to_draws([0, 1], draws)
