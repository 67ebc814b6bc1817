"""Split-merge moves: where they are made, that they find what single rows cannot, and that they are told of.

That they leave the posterior alone is for ``test_geweke.py`` and, by enumeration, ``test_gibbs.py``.
"""

import numpy as np
import pytest
from enumeration import PRIOR, ROWS, exact

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.inference.gibbs.split_merge import applies
from bayesgmm.models import weights


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (models.dirichlet_process_mixture(5), True),
        (models.pitman_yor_mixture(5, "diag"), True),
        (models.sparse_mixture(5, "spherical"), True),
        (models.mixture_of_finite_mixtures(number=weights.uniform(5)), True),
        (models.mixture_of_finite_mixtures(components=models.components.richardson_green()), True),
        (models.dirichlet_process_mixture(1), False),
        (models.dirichlet_process_mixture(5, "tied"), False),
        (models.finite_mixture(5), True),
    ],
    ids=str,
)
def test_where_they_apply(model, expected):
    assert applies(model) is expected


def test_only_true_false_and_none_are_understood():
    with pytest.raises(TypeError, match="split_merge"):
        bg.Gibbs(split_merge="yes")


@pytest.mark.slow
def test_where_all_slots_are_full_nothing_is_split():
    """Two groups for two components: an enumerated chance of .02 that one is empty, within .005 (standard error .001).

    A split proposed where no slot is empty, as if it began from the merged state, made it .033.
    """
    x = 2.0 * ROWS
    engine = bg.Gibbs(num_chains=16, num_samples=2000, thin=3, split_merge=True)
    post = bg.fit(x[:, None], models.finite_mixture(2, components=PRIOR), engine, random_state=1)
    assert float(post.n_clusters.loc[1]) == pytest.approx(exact(x, 2)[0][0], abs=0.005)


def groups(n, d=5, k=5):
    """Rows (n, d) of k groups of correlated features, a few standard deviations apart."""
    rng = np.random.default_rng(0)
    centres = 3.0 * rng.standard_normal((k, d))
    tril = np.linalg.cholesky(0.5 * np.eye(d) + 0.5)
    labels = np.arange(n) % k
    return centres[labels] + rng.standard_normal((n, d)) @ tril.T, labels


@pytest.fixture(scope="module")
def large():
    """Rows, their groups, and what chains that begin in one cluster come to with and without moves."""
    rows, labels = groups(2500)
    start = bg.fit(rows, models.finite_mixture(1), bg.EM(n_init=1, moves=0), random_state=0)
    posts = [
        bg.fit(
            rows,
            models.dirichlet_process_mixture(10),
            bg.Gibbs(num_chains=1, num_warmup=100, num_samples=100, split_merge=moves),
            start=start,
            random_state=0,
        )
        for moves in (None, False)
    ]
    return rows, labels, *posts


@pytest.mark.slow
def test_they_find_groups_that_single_rows_do_not(large):
    """From one cluster of 2500 rows: 95 % of the draws have the five groups, and none has them without moves."""
    rows, labels, moved, stuck = large
    sizes = moved.data["clustering"]["drawn_sizes"].values[0]
    assert np.mean((sizes > 0.1 * len(rows)).sum(axis=-1) == 5) > 0.95
    found = moved.predict(rows)
    assert all(len(np.unique(found[labels == k])) <= 2 for k in range(5))  # a few rows lie between groups
    lost = stuck.data["clustering"]["drawn_sizes"].values[0]
    assert np.max((lost > 0.1 * len(rows)).sum(axis=-1)) < 5
    told = [post.data["sample_stats"]["log_likelihood"].values.mean() for post in (moved, stuck)]
    assert told[0] > told[1] + 500


@pytest.mark.slow
def test_what_was_accepted_is_told(large):
    moved, stuck = large[2:]
    accepted = moved.data["sample_stats"]["split_merge_accepted"].values
    assert accepted.shape == (1, 100)
    assert set(np.unique(accepted)) <= {0.0, 1.0}
    assert "split_merge_accepted" not in stuck.data["sample_stats"]
