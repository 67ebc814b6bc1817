"""The search for the partition of least expected loss: reference cases, exhaustive minima, invariances."""

import functools
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posterior.partitions import (
    all_partitions,
    direct_expected,
    direct_losses,
    in_nats,
    random_draws,
    same_partition,
    unchecked,
)

from bayesgmm.posterior.count_tables import JointTables
from bayesgmm.posterior.fellow_tables import FellowTables
from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.losses import LOSSES, expected_loss, get_loss
from bayesgmm.posterior.point import find_point
from bayesgmm.posterior.search import Search

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


@pytest.mark.parametrize(
    "data, case",
    [pytest.param("galaxies", "galaxy.draw", marks=pytest.mark.slow), ("iris", "iris.clusterings")],
)
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


@functools.cache
def random_matrix(seed):
    """A random label matrix of 5 to 9 rows, and the least expected loss of any partition, each loss."""
    rng = np.random.default_rng(seed)
    n = 5 + seed % 5
    draws = random_draws(rng, s=12, n=n, noise=rng.uniform(0.1, 0.7))
    every = [direct_losses(all_partitions(n), draw) for draw in draws]
    return draws, {name: np.mean([losses[name] for losses in every], axis=0).min() for name in LOSSES}


@pytest.mark.parametrize("name", LOSSES)
@unchecked()
def test_the_global_minimum_over_all_partitions(name):
    """Twenty random label matrices of 5 to 9 rows, against every partition (21147 for 9 rows)."""
    for seed in range(20):
        draws, least = random_matrix(seed)
        point = find_point(draws, in_nats(name), n_starts=4, random_state=seed)
        assert point.expected_loss == pytest.approx(least[name], abs=1e-10), (name, seed)


@pytest.mark.parametrize("name", ["variation_of_information", "binder"])
@pytest.mark.parametrize("a, b", [(0.4, 1.6), (1.6, 0.4)])
@unchecked()
def test_the_global_minimum_at_unequal_prices(name, a, b):
    for seed in range(5):
        draws = random_draws(np.random.default_rng(100 + seed), s=15, n=8, noise=0.5)
        least = direct_expected(all_partitions(8), draws, name, a, b).min()
        point = find_point(draws, in_nats(name, a=a, b=b))
        assert point.expected_loss == pytest.approx(least, abs=1e-10)


@pytest.mark.parametrize("most", [1, 2, 3])
@unchecked()
def test_the_number_of_clusters_is_bounded(most):
    draws = random_draws(np.random.default_rng(3), s=15, n=7, noise=0.6)
    every = all_partitions(7)
    allowed = every[every.max(axis=1) < most]
    for name in ("variation_of_information", "binder", "one_minus_adjusted_rand"):
        point = find_point(draws, in_nats(name), max_clusters=most)
        assert point.labels.max() < most
        assert point.expected_loss == pytest.approx(direct_expected(allowed, draws, name).min(), abs=1e-10)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=2)
@given(seed=st.integers(0, 2**32 - 1))
@unchecked()
def test_invariances(name, seed):
    rng = np.random.default_rng(seed)
    draws = random_draws(rng, s=9, n=9)
    point = find_point(draws, name, n_starts=4)
    renamed = np.stack([rng.permutation(6)[draw] for draw in draws])
    shuffled = renamed[rng.permutation(9)]
    doubled = np.concatenate([shuffled, draws])
    for other in (renamed, shuffled, doubled):
        found = find_point(other, name, n_starts=4)
        assert np.array_equal(found.labels, point.labels)
        assert found.expected_loss == pytest.approx(point.expected_loss, abs=1e-12)
    order = rng.permutation(9)
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


@pytest.mark.parametrize("name", ["variation_of_information", "one_minus_adjusted_rand"])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_fellows_tell_what_tables_tell(name, seed):
    """Two ways of keeping the same counts: rows in and out, prices and sums agree at every step."""
    rng = np.random.default_rng(seed)
    draws = as_label_draws(random_draws(rng, s=7, n=11, noise=0.6))
    loss = get_loss(name)
    mass = loss.mass(np.arange(13))
    labels = np.where(rng.random(11) < 0.7, rng.integers(0, 4, 11), -1)
    both = [kind(draws, mass, labels, 6) for kind in (JointTables, FellowTables)]
    for row in rng.permutation(11).tolist():
        one, other = (tables.together_new(row) for tables in both)
        if labels[row] < 0:
            assert one == pytest.approx(other)
            labels[row] = rng.integers(0, 6)
            for tables in both:
                tables.add(row, int(labels[row]))
    rows = rng.permutation(11)[:5]
    clusters = np.stack([rng.permutation(6)[:3] for _ in rows])
    for at in (rows, rows[:1]):
        one, other = (tables.together(at, labels[at]) for tables in both)
        assert one == pytest.approx(other)
        weights = rng.normal(size=len(draws.weights))
        one, other = (tables.together(at, labels[at], weights) for tables in both)
        assert one == pytest.approx(other)
    away = [tables.joints(rows, labels[rows], clusters) for tables in both]
    for i, row in enumerate(rows.tolist()):
        moved = labels.copy()
        for j, cluster in enumerate(clusters[i].tolist()):
            moved[row] = cluster
            joint = draws.joint(moved, mass)
            assert all(table[i, :, j] == pytest.approx(joint) for table in away)
    for tables in both:
        tables.subtract(int(rows[0]), int(labels[rows[0]]))
        cluster = int(labels[rows[1]])
        rest = np.flatnonzero((labels == cluster) & (np.arange(11) != rows[0]))
        tables.clear(cluster, rest)
        copied = tables.copy()
        copied.add(int(rows[0]), 5)
        assert tables.joint == pytest.approx(both[0].joint)


def test_draws_of_very_many_clusters_are_searched_through_fellows():
    """Rows in pairs that most draws agree on: far more clusters than a table of counts could serve."""
    rng = np.random.default_rng(0)
    pairs = np.arange(300) // 2
    draws = np.tile(pairs, (30, 1))
    for draw in draws:
        draw[rng.permutation(300)[:30]] = 150 + np.arange(30)
    search = Search(as_label_draws(draws), get_loss("variation_of_information"), 300)
    search.load(np.full(300, -1))
    assert isinstance(search._tables, FellowTables)
    point = find_point(draws, n_starts=2)
    assert same_partition(point.labels, pairs)
    assert point.expected_loss == pytest.approx(expected_loss(pairs, draws))


def test_singletons_in_every_draw():
    point = find_point(np.tile(np.arange(2000), (50, 1)), n_starts=2)
    assert point.labels.tolist() == list(range(2000))
    assert point.expected_loss == 0


def test_a_search_without_bound_may_use_more_clusters_than_any_draw():
    """Noise of 6 labels: no pair of rows belongs together, so Binder's loss wants single rows."""
    draws = np.random.default_rng(0).integers(0, 6, (60, 40))
    point = find_point(draws, "binder")
    assert point.expected_loss <= expected_loss(np.arange(40), draws, "binder") + 1e-9
    assert point.labels.max() + 1 > 6
    bounded = find_point(draws, "binder", max_clusters=6)
    assert bounded.labels.max() + 1 == 6
    assert bounded.expected_loss > point.expected_loss


@pytest.mark.parametrize("seed, best", [(0, 445.25), (2, 445.95)])
@unchecked()
def test_shaking_finds_what_sweeps_miss(seed, best):
    """A bound that binds on noise makes many local optima; ``best`` is that of 200 starts from other seeds.

    Sweeps and rebuilding alone end .2 and .3 % above it.
    """
    draws = random_draws(np.random.default_rng(seed), s=40, n=60, noise=0.6)
    point = find_point(draws, "binder", max_clusters=6)
    assert point.expected_loss <= best * 1.0005
