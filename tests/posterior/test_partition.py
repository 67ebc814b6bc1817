"""``partition``: one frozen result from label draws and from fits, and what it says of rows and clusters."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posterior.partitions import random_draws
from posterior.test_similarity import make_fit
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg
from bayesgmm.posterior.losses import expected_loss, get_loss
from bayesgmm.posterior.similarity import similarity


def two_camps(s=100, n=40, waverer=0.4, seed=0):
    """Two sure clusters of 25 and 14 rows, and a last row that is drawn to the second in a share of the draws."""
    rng = np.random.default_rng(seed)
    draws = np.tile(np.repeat([0, 1, 0], [25, 14, 1]), (s, 1))
    draws[: int(waverer * s), -1] = 1
    return np.stack([rng.permutation(2)[draw] for draw in draws])


def test_rows_and_clusters_by_hand():
    part = bg.partition(two_camps())
    assert part.sizes.tolist() == [26, 14]
    assert part.labels[-1] == 0
    assert part.membership[-1].tolist() == pytest.approx([0.6, 0.4])
    assert part.rows.own[:-1] == pytest.approx(1.0)
    assert part.rows.second.tolist() == [-1] * 39 + [1]
    assert part.rows.second_share[-1] == pytest.approx(0.4)
    assert (part.rows.elsewhere == 0).all()
    assert part.rows.entropy[-1] == pytest.approx(-0.6 * np.log2(0.6) - 0.4 * np.log2(0.4))
    assert part.rows_in_doubt.tolist() == [39]
    assert all(39 in pair[:2] for pair in part.pairs_in_doubt)
    assert {round(pair[2], 12) for pair in part.pairs_in_doubt} <= {0.4, 0.6}
    clusters = part.clusters
    assert clusters.sizes.tolist() == [26, 14]
    assert (clusters.lower.tolist(), clusters.upper.tolist()) == ([25, 14], [26, 15])
    assert clusters.present.tolist() == pytest.approx([1, 1])
    assert clusters.stability.tolist() == pytest.approx([0.6 + 0.4 * 25 / 26, 0.6 + 0.4 * 14 / 15])
    assert clusters.cohesion[1] == pytest.approx(1)
    assert clusters.cohesion[0] == pytest.approx((25 * 24 + 2 * 25 * 0.6) / (26 * 25))
    assert clusters.separation.tolist() == pytest.approx([1 - 0.4 * 14 / (26 * 14)] * 2)
    assert clusters.to_frame().loc[1, "sizes"] == 14
    assert part.n_clusters_posterior.to_dict() == pytest.approx({1: 0, 2: 1})
    assert part.n_clusters_prior is None
    assert "1 of 40 rows is in doubt" in repr(part)
    assert "row 39 (cluster 0: 60 %, 1: 40 %)" in repr(part)
    assert repr(part.ball).splitlines()[3].split() == [
        "farthest",
        "2",
        f"{part.ball.radius:.4g}",
        "1",
        "0",
        "25/15",
    ]


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_holds_for_any_draws(seed):
    rng = np.random.default_rng(seed)
    draws = random_draws(rng, s=12, n=rng.integers(2, 12), noise=0.5)
    part = bg.partition(draws, n_starts=2, random_state=seed)
    n, k = part.n_rows, part.n_clusters
    assert part.membership.shape == (n, k)
    assert part.membership.sum(axis=1) + part.rows.elsewhere == pytest.approx(1)
    assert part.rows.own == pytest.approx(part.membership[np.arange(n), part.labels])
    assert part.rows.entropy.max() <= np.log2(k + 1) + 1e-9
    assert (part.rows.second != part.labels).all()
    assert (np.diff(part.sizes) <= 0).all()
    clusters = part.clusters
    assert (clusters.lower <= clusters.upper).all()
    for share in (clusters.present, clusters.stability, clusters.separation):
        assert ((share >= -1e-12) & (share <= 1 + 1e-12)).all()
    table = part.similarity
    within = [table[np.ix_(part.labels == c, part.labels == c)] for c in range(k)]
    means = [(w.sum() - len(w)) / (len(w) * (len(w) - 1)) if len(w) > 1 else np.nan for w in within]
    assert clusters.cohesion == pytest.approx(means, nan_ok=True, abs=1e-9)
    assert part.n_clusters_posterior.sum() == pytest.approx(1)
    assert part.expected_loss == pytest.approx(expected_loss(part.labels, draws))
    assert repr(part).startswith(f"Partition of label draws ({n} rows) into {k} cluster")
    assert all(0 < p < 1 for _, _, p in part.pairs_in_doubt)


def test_the_result_is_frozen_and_the_same_again():
    draws = random_draws(np.random.default_rng(0), s=30, n=20)
    part, again = bg.partition(draws, random_state=5), bg.partition(draws, random_state=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.labels = again.labels
    assert repr(part) == repr(again)
    assert np.array_equal(part.labels, again.labels)


def test_a_fit_is_partitioned_by_its_allocations():
    fit = make_fit(s=40, n=80)
    part = bg.partition(fit, n_starts=3)
    assert part.source is fit
    assert part.draws.n_draws == 40
    assert part.similarity == pytest.approx(similarity(fit))
    assert bg.partition(fit, n_draws=100, n_starts=1).draws.n_draws == 100
    frame = part.to_frame()
    assert list(frame) == [
        *("cluster", "probability", "second_cluster", "second_probability", "elsewhere_probability"),
        "entropy_bits",
    ]
    assert frame["second_cluster"].isna().sum() == (part.rows.second < 0).sum()


def test_em_bootstrap_and_labels_on_one_scale():
    model = bg.models.finite_mixture(2)
    em = bg.fit("faithful", model, bg.EM(n_init=3), random_state=0)
    refits = bg.bootstrap(em, 20, random_state=0)
    assert refits.draws.log_weights.shape == (20, 2)
    parts = {"EM": bg.partition(em, n_starts=2), "bootstrap": bg.partition(refits, n_draws=200, n_starts=2)}
    assert parts["EM"].sizes.tolist() == [175, 97]
    assert any("one set of parameters" in words for words in parts["EM"].warnings)
    assert not any("one set of parameters" in words for words in parts["bootstrap"].warnings)
    assert parts["bootstrap"].expected_loss > parts["EM"].expected_loss
    table = bg.partition_agreement(parts)
    row = table.loc[("EM", "bootstrap")]
    assert row["adjusted_rand"] == pytest.approx(
        adjusted_rand_score(parts["EM"].labels, parts["bootstrap"].labels)
    )
    assert row["loss_first_own"] == pytest.approx(parts["EM"].expected_loss)
    assert row["loss_second_own"] <= row["loss_first_under_second"] + 1e-12
    assert row["loss_first_own"] <= row["loss_second_under_first"] + 1e-12


def test_warnings_are_in_words():
    rng = np.random.default_rng(0)
    noise = bg.partition(rng.integers(0, 4, size=(60, 40)), loss="binder", max_clusters=3, n_starts=2)
    told = " ".join(noise.warnings)
    assert "dissolve" in told
    assert "of the rows are in doubt or set apart: the draws do not settle on a partition" in told
    split = np.repeat([np.arange(60) // 30, np.arange(60) % 3], [60, 40], axis=0)
    assert (
        "one partition does not speak for all draws; 2 together do, each for the draws nearest to it: 2 clusters "
        "(30/30 rows) for 60 % of the draws, which lie 0 bits from it on average; 3 clusters (20/20/20 rows) for 40 %"
    ) in repr(bg.partition(split))
    assert "no row is in doubt: every row stays in its cluster in every draw" in repr(
        bg.partition(split[:60])
    )
    many = bg.partition(rng.integers(0, 4, size=(60, 40)), loss="binder", n_starts=2)
    assert any("more than any draw (4)" in words for words in many.warnings)


def test_a_compromise_of_another_number_of_clusters_is_told():
    """Every draw cuts the first cluster in two, each at its own place: nothing is gained by a cut in the estimate."""
    rng = np.random.default_rng(0)
    draws = np.stack([np.where(np.arange(60) < 40, rng.permutation(60) % 2, 2) for _ in range(50)])
    part = bg.partition(draws, n_starts=2)
    assert part.sizes.tolist() == [40, 20]
    assert "3 (100 %); most draws have more than the 2 here, where rows stay together" in repr(part)
    single = bg.partition(draws, loss="binder", n_starts=2)
    assert "3 (100 %); most draws have fewer than the" in repr(single)


def test_rows_of_a_split_cluster_are_in_doubt():
    """Half of the draws cut a cluster of 30 in six: nobody stays for sure, and nobody is in the other cluster."""
    whole = np.repeat([0, 1], [30, 40])
    cut = np.concatenate([2 + np.arange(30) // 5, np.ones(40, int)])
    part = bg.partition(np.stack([whole] * 51 + [cut] * 49))
    assert part.sizes.tolist() == [40, 30]
    inside = part.labels == 1
    assert part.rows.own[inside] == pytest.approx(
        0.51 + 0.49 / 6
    )  # six equal parts, of which one is the match
    assert part.rows.elsewhere[inside] == pytest.approx(0.49 * 5 / 6)
    assert part.rows.own[~inside] == pytest.approx(1)
    assert part.rows_in_doubt.tolist() == np.flatnonzero(inside).tolist()
    assert (part.clusters.lower[1], part.clusters.upper[1]) == (5, 30)
    assert part.clusters.stability[1] == pytest.approx(0.51 + 0.49 / 6)
    assert "elsewhere: 40.8 %" in repr(part)
    assert "elsewhere means in a cluster that matches none of these" in repr(part)


def test_the_record_is_json_that_says_the_same():
    part = bg.partition(two_camps())
    content = json.loads(part.to_json())
    assert content["rows"]["cluster"] == part.labels.tolist()
    assert content["rows"]["probability"] == pytest.approx(part.rows.own.tolist())
    assert content["rows"]["second_cluster"] == [None] * 39 + [1]
    assert content["credible_ball"]["radius"] == pytest.approx(part.ball.radius)
    assert [row["sizes"] for row in content["clusters"]] == [26, 14]
    assert content["n_clusters"] == {"1": 0, "2": pytest.approx(1)}
    assert content["words"][2] in repr(part)
    text = part.to_markdown()
    assert "| 0 | 26 |" in text and f"- {content['words'][2]}" in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"loss": "rand"}, "Expected loss to be one of"),
        ({"level": 1.5}, "Expected level to be a number above 0 and at most 1; got 1.5"),
        ({"level": "high"}, "Expected level to be a number above 0 and at most 1; got 'high'"),
        ({"level": True}, "Expected level to be a number above 0 and at most 1; got True"),
        ({"loss": ["binder"]}, r"Expected loss to be one of .*; got \['binder'\]"),
        ({"unit": ["bits"]}, r"Expected unit to be 'bits' or 'nats'; got \['bits'\]"),
        ({"loss": get_loss("binder"), "a": 2.0}, "Expected a and b in the Loss itself"),
        ({"unit": "bans"}, "Expected unit to be 'bits' or 'nats'"),
        ({"max_clusters": -1}, "Expected max_clusters to be an integer of at least 1"),
        ({"n_draws": 10}, "Expected n_draws for fits only"),
        ({"random_state": -1}, "Expected random_state of at least 0"),
        ({"a": "1"}, "Expected a to be a number above 0; got '1'"),
    ],
)
def test_arguments_are_named(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        bg.partition([[0, 0, 1], [0, 1, 1]], **arguments)


def test_other_numbers_and_any_level_are_welcome():
    draws = random_draws(np.random.default_rng(0), s=30, n=9)
    single = bg.partition(draws, level=np.float32(0.5), a=np.float32(1.5), n_starts=np.int64(2))
    assert single.level == 0.5 and single.loss.a == 1.5
    whole = bg.partition(draws, level=1, n_starts=2)
    assert whole.ball.radius == pytest.approx(whole.ball.distances.max())
    least, most = bg.partition(draws, level=0.01, n_starts=2), whole.clusters
    assert (least.clusters.lower >= most.lower).all() and (least.clusters.upper <= most.upper).all()


@pytest.mark.parametrize(
    "given, error, message",
    [
        ([[0, 1, 2], [0, 1]], ValueError, "Expected label draws of equal length"),
        ([[0, -1, 2], [0, 1, 1]], ValueError, "labels of at least 0; got -1 in draw 0 at row 1.*noise"),
        (None, TypeError, "Expected a fit or a matrix of labels .*; got NoneType"),
        ("faithful", TypeError, "Expected a fit or a matrix of labels .*; got str"),
        (np.ma.masked_equal([[0, 1], [1, 1]], 0), ValueError, "some are masked. Leave these draws out"),
        ([[0.2, 0.8], [0.5, 0.5]], ValueError, "got 0.2 in draw 0 at row 0. Draw labels from probabilities"),
    ],
)
def test_what_cannot_be_partitioned(given, error, message):
    with pytest.raises(error, match=message):
        bg.partition(given)


def test_agreement_needs_partitions_of_the_same_rows():
    two, three = bg.partition([[0, 1]], n_starts=1), bg.partition([[0, 1, 1]], n_starts=1)
    with pytest.raises(ValueError, match=r"Expected partitions of the same rows; got {'a': 2, 'b': 3} rows"):
        bg.partition_agreement({"a": two, "b": three})
    with pytest.raises(ValueError, match="Expected at least two partitions; got 1"):
        bg.partition_agreement({"a": two})
    for wrong in ([two, two], {"a": two, "b": two.labels}):
        with pytest.raises(TypeError, match=r"results of bayesgmm.partition by name.*labels\[None, :\]"):
            bg.partition_agreement(wrong)


def test_one_draw_of_one_row():
    part = bg.partition([[4]])
    assert repr(part).startswith("Partition of label draws (1 row) into 1 cluster:")
    assert "over 1 draw; 1 of 1 searches" in repr(part)
    json.loads(part.to_json())


def test_a_posterior_is_partitioned_on_its_rows(posterior):
    part = bg.partition(posterior, n_starts=3)
    assert part.draws.n_draws == 1000
    assert part.sizes.sum() == 120
    probability = posterior.predict_proba()
    agreement = adjusted_rand_score(part.labels, probability.argmax(axis=1))
    assert agreement > 0.95
    # Both are means over the same 1000 draws, of a label and of its probability: five standard errors.
    order = np.argsort(-probability.sum(axis=0))
    assert np.abs(part.membership - probability[:, order]).max() < 5 * np.sqrt(0.25 / 1000)
    assert part.n_clusters_prior.equals(posterior.n_clusters_table["prior"])
    assert "before the data: 2 (" in repr(part)
    assert "that the chains began from, rows in their likeliest components: adjusted Rand index" in repr(part)
    assert repr(part).startswith("Partition of data (120 rows) into 2 clusters")
    assert "(NUTS)" in repr(part)


def test_one_draw_says_nothing_of_certainty():
    part = bg.partition(np.array([[0, 0, 1, 1, 1]]), random_state=0)
    assert any("there is one draw" in warning for warning in part.warnings)


def test_what_is_said_of_a_row_adds_up():
    """A row that is in four clusters by turns: its own, the second and the others are all told."""
    draws = np.repeat(np.arange(4)[None], 40, axis=0).repeat(5, axis=1)  # four clusters of five rows
    draws[10:20, 0], draws[20:30, 0], draws[30:, 0] = 1, 2, 3
    part = bg.partition(draws, max_clusters=4, random_state=0)
    rows = part.rows
    assert rows.own[0] + rows.second_share[0] + rows.elsewhere[0] < 0.8
    assert "others: 50 %" in repr(part)


def test_rows_that_the_partition_merged_are_set_apart_and_not_in_doubt():
    """Nine draws of ten cut off ten rows that a partition bound to one cluster cannot give one of their own."""
    middle, other = np.zeros(60, int), np.zeros(60, int)
    middle[40:50], other[50:] = 1, 1
    part = bg.partition(np.stack([middle] * 9 + [other] * 1), max_clusters=1)
    assert part.n_clusters == 1
    assert part.rows_set_apart.tolist() == list(range(40, 50))
    assert part.rows_in_doubt.tolist() == []
    assert (
        "10 rows (40, 41, 42, 43, 44, 45, 46, 47 and 2 more) are set apart in at least 80 % of the draws"
        in repr(part)
    )


def test_nothing_of_a_partition_can_be_changed():
    part = bg.partition(random_draws(np.random.default_rng(3), s=9, n=8))
    arrays = [part.labels, part.draws.labels, part.draws.weights, part.membership, part.similarity]
    for array in [*arrays, *part.rows, *part.clusters]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_draws_that_are_not_to_be_trusted_are_said_to_be(posterior):
    """What the chains say of themselves is said of the partition."""
    report = posterior.diagnostics()
    doubted = dataclasses.replace(posterior)
    doubted.__dict__["_diagnostics"] = dataclasses.replace(report, warnings=("chains disagree",))
    told = bg.partition(doubted, n_draws=50).warnings
    assert (
        "the draws are to be read with care, and so is all that is said of them here: chains disagree" in told
    )
    sound = dataclasses.replace(posterior)
    sound.__dict__["_diagnostics"] = dataclasses.replace(report, warnings=())
    assert not any("read with care" in words for words in bg.partition(sound, n_draws=50).warnings)
