"""The search for the partition of least expected loss: reference cases, exhaustive minima, invariances."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posterior.partitions import all_partitions, direct_expected, random_draws, same_partition

from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.losses import LOSSES, expected_loss, get_loss
from bayesgmm.posterior.point import find_point

DRAWS = Path(__file__).parent.parent / "cases" / "draws"


def load_draws(name):
    with gzip.open(DRAWS / f"{name}.txt.gz", "rt") as file:
        return as_label_draws(np.loadtxt(file, dtype=int))


@pytest.fixture(scope="module")
def galaxies():
    return load_draws("galaxy_draws_10000x82")


@pytest.fixture(scope="module")
def iris():
    return load_draws("iris_clusterings_1000x150")


@pytest.mark.parametrize("data, case", [("galaxies", "galaxy.draw"), ("iris", "iris.clusterings")])
@pytest.mark.parametrize("loss, key", [("variation_of_information", "VI"), ("binder", "binder")])
def test_published_optima(cases, request, data, case, loss, key):
    reference = cases("E_clustering_summaries")[case]
    best = reference[key]["expected_bits" if key == "VI" else "expected_pairs"]
    point = find_point(request.getfixturevalue(data), loss, n_starts=3)
    assert point.expected_loss <= best + 1e-9
    assert np.bincount(point.labels).tolist() == reference[key]["sizes"]
    assert same_partition(point.labels, reference[key]["partition"])
    assert 1 <= point.n_hits <= point.n_starts


def test_published_draws(cases, galaxies, iris):
    for draws, case in ((galaxies, "galaxy.draw"), (iris, "iris.clusterings")):
        reference = cases("E_clustering_summaries")[case]
        assert (draws.n_draws, draws.n_rows) == (reference["draws"], reference["n"])
        assert draws.weights @ draws.n_clusters == pytest.approx(reference["nclusters_mean"], abs=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_the_global_minimum_over_all_partitions(name):
    """Twenty random label matrices of 5 to 9 rows, against every partition (21147 for 9 rows)."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = 5 + seed % 5
        draws = random_draws(rng, s=12, n=n, noise=rng.uniform(0.1, 0.7))
        least = direct_expected(all_partitions(n), draws, name).min()
        point = find_point(draws, get_loss(name, unit="nats"), random_state=seed)
        assert point.expected_loss == pytest.approx(least, abs=1e-10), (name, seed)


@pytest.mark.parametrize("name", ["variation_of_information", "binder"])
@pytest.mark.parametrize("a, b", [(0.4, 1.6), (1.6, 0.4)])
def test_the_global_minimum_at_unequal_prices(name, a, b):
    for seed in range(5):
        draws = random_draws(np.random.default_rng(100 + seed), s=15, n=8, noise=0.5)
        least = direct_expected(all_partitions(8), draws, name, a, b).min()
        point = find_point(draws, get_loss(name, a=a, b=b, unit="nats"))
        assert point.expected_loss == pytest.approx(least, abs=1e-10)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_number_of_clusters_is_bounded(most):
    draws = random_draws(np.random.default_rng(3), s=15, n=7, noise=0.6)
    every = all_partitions(7)
    allowed = every[every.max(axis=1) < most]
    for name in ("variation_of_information", "binder", "one_minus_adjusted_rand"):
        point = find_point(draws, get_loss(name, unit="nats"), max_clusters=most)
        assert point.labels.max() < most
        assert point.expected_loss == pytest.approx(direct_expected(allowed, draws, name).min(), abs=1e-10)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_invariances(name, seed):
    rng = np.random.default_rng(seed)
    draws = random_draws(rng, s=15, n=12)
    point = find_point(draws, name, n_starts=4)
    renamed = np.stack([rng.permutation(6)[draw] for draw in draws])
    shuffled = renamed[rng.permutation(15)]
    doubled = np.concatenate([shuffled, draws])
    for other in (renamed, shuffled, doubled):
        found = find_point(other, name, n_starts=4)
        assert np.array_equal(found.labels, point.labels)
        assert found.expected_loss == pytest.approx(point.expected_loss, abs=1e-12)
    order = rng.permutation(12)
    turned = find_point(draws[:, order], name, n_starts=4)
    assert turned.expected_loss == pytest.approx(point.expected_loss, abs=1e-9)
    assert (np.diff(np.bincount(point.labels)) <= 0).all()
    assert point.expected_loss == pytest.approx(expected_loss(point.labels, draws, name), abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("draw", [[0, 0, 1, 2, 1, 0, 3], [0] * 7, list(range(7)), [0]])
def test_one_draw_repeated_is_the_answer(name, draw):
    point = find_point(np.array([draw] * 5), name, n_starts=2)
    assert same_partition(point.labels, draw)
    assert point.expected_loss == pytest.approx(0, abs=1e-12)


def test_no_draw_is_better_than_the_point(iris):
    point = find_point(iris, n_starts=2)
    assert all(expected_loss(one, iris) >= point.expected_loss - 1e-12 for one in iris.labels[:50])


def test_the_same_seed_gives_the_same_partition():
    draws = random_draws(np.random.default_rng(1), s=40, n=40, noise=0.6)
    one, same = (find_point(draws, "binder", random_state=7) for _ in range(2))
    assert np.array_equal(one.labels, same.labels)
    assert one[1:] == same[1:]
    seven = find_point(draws, "binder", random_state=np.random.default_rng(7))
    assert seven.expected_loss == pytest.approx(one.expected_loss, rel=0.01)


@pytest.mark.parametrize("argument, value", [("max_clusters", 0), ("n_starts", 0), ("n_starts", 1.5)])
def test_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=f"Expected {argument} to be an integer of at least 1"):
        find_point([[0, 1], [0, 0]], **{argument: value})
