"""The posterior's groups and predictions against direct computations from its own draws."""

import arviz_stats
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import bayesgmm as bg
from bayesgmm.tables import component_table


def log_joint(draws, rows):
    """(S, K, N) of ``log w_k + log N(x | k)``, by scipy."""
    weights, means, covariances = draws
    return np.array(
        [
            [np.log(w) + multivariate_normal(m, c).logpdf(rows) for w, m, c in zip(*draw, strict=True)]
            for draw in zip(weights, means, covariances, strict=True)
        ]
    )


@pytest.fixture(scope="module")
def joint(posterior, dense_draws):
    return log_joint(dense_draws, posterior.observed.rows)


def test_groups_follow_arviz(posterior):
    tree = posterior.data
    assert set(tree.children) == {
        "posterior",
        "sample_stats",
        "log_likelihood",
        "observed_data",
        "clustering",
        "warm_start",
    }
    assert tree["posterior"]["means"].dims == ("chain", "draw", "component", "feature")
    assert tree["posterior"]["covariances"].dims == ("chain", "draw", "component", "feature", "feature_bis")
    assert list(tree["posterior"]["feature"].values) == ["eruptions", "waiting"]
    assert tree["log_likelihood"]["x"].shape == (4, 250, 120)
    assert all(v.dtype == np.float64 for v in tree["posterior"].data_vars.values())


def test_pointwise_log_likelihood_sums_the_assignments_out(posterior, joint):
    ours = np.concatenate(posterior.data["log_likelihood"]["x"].values)
    np.testing.assert_allclose(ours, logsumexp(joint, axis=1), rtol=1e-9, atol=1e-9)


def test_log_likelihood_statistic_is_the_pointwise_sum(posterior):
    total = posterior.data["log_likelihood"]["x"].sum("row")
    np.testing.assert_allclose(posterior.data["sample_stats"]["log_likelihood"], total, rtol=1e-12)


def test_membership_is_the_average_responsibility(posterior, joint):
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)).mean(axis=0).T
    np.testing.assert_allclose(posterior.predict_proba(), expected, atol=1e-9)
    np.testing.assert_array_equal(posterior.predict(), expected.argmax(axis=1))


def test_density_is_averaged_over_draws_not_plugged_in(posterior, joint):
    expected = logsumexp(logsumexp(joint, axis=1), axis=0) - np.log(len(joint))
    np.testing.assert_allclose(posterior.score_samples(), expected, atol=1e-9)
    assert posterior.score() == pytest.approx(expected.mean(), abs=1e-9)


def test_means_are_posterior_means_in_the_users_units(posterior, dense_draws):
    weights, means, covariances = dense_draws
    np.testing.assert_allclose(posterior.weights, weights.mean(axis=0))
    np.testing.assert_allclose(posterior.means, means.mean(axis=0))
    np.testing.assert_allclose(posterior.covariances, covariances.mean(axis=0))
    assert posterior.weights[0] > posterior.weights[1]


def test_loo_is_arviz_on_our_tree(posterior):
    ours, theirs = posterior.loo(), arviz_stats.loo(posterior.data)
    assert ours.elpd == pytest.approx(theirs.elpd)
    assert ours.elpd < posterior.score() * 120  # leaving a row out cannot raise the fit to it


def test_n_clusters_is_a_distribution(posterior):
    assert list(posterior.n_clusters.index) == [1, 2]
    assert posterior.n_clusters.sum() == pytest.approx(1.0)
    assert posterior.n_clusters[2] > 0.99  # two groups 30 minutes apart


def test_sampling_reproduces_the_predictive_mean(posterior, dense_draws):
    """Mean of 4000 draws: |z| < 5 in both features; fails by chance once in 9e5 seeds; the seed is fixed."""
    rows, labels = posterior.sample(4000, random_state=1)
    weights, means, _ = dense_draws
    expected = np.einsum("sk,skd->d", weights, means) / len(weights)
    z = (rows.mean(axis=0) - expected) / (rows.std(axis=0) / np.sqrt(4000))
    assert np.all(np.abs(z) < 5)
    assert abs(labels.mean() - posterior.weights[1]) < 5 * np.sqrt(0.25 / 4000)


def test_prediction_refuses_other_columns(posterior):
    with pytest.raises(ValueError, match="waiting"):
        posterior.predict(bg.load_dataset("faithful")[["eruptions"]])


def test_print_says_how_far_to_trust_it(posterior):
    text = repr(posterior)
    assert "4 chains of 250 draws" in text
    assert "mean waiting" in text
    assert "R-hat" in text


def test_a_component_that_holds_no_rows_is_marked(posterior):
    assert "empty in" not in repr(posterior)
    assert [
        line.split()[-1] for line in component_table(posterior, empty=[0.004, 0.63]).splitlines()[2:]
    ] == [
        "0%",
        "63%",
    ]
