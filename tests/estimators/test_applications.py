"""Case H: what the estimators find in data that people know."""

import os

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, average_precision_score, roc_auc_score

import bayesgmm as bg

SPECIES = np.repeat([0, 1, 2], [151, 123, 68])  # Adelie, Gentoo, Chinstrap: the order of the published file


def test_breast_cancer_anomalies_are_found():
    """Malignant tumours among benign ones, never told apart in the fit.

    The recipe: the stiffest mixture, one component with independent features. Strange rows form small clusters of
    their own, and every further component learns some of them: the score falls from there on.
    """
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    chosen = np.r_[np.flatnonzero(data.target == 1), np.flatnonzero(data.target == 0)[:21]]
    rows, strange = data.data[chosen], data.target[chosen] == 0
    score = bg.GaussianMixture(1, covariance_type="diag").fit(rows).anomaly_score(rows)
    assert roc_auc_score(strange, score) >= 0.95
    assert average_precision_score(strange, score) >= 0.50


@pytest.mark.slow
def test_penguins_are_told_apart_by_the_structure_that_bic_chooses():
    rows = bg.load_dataset("penguins")
    rows = (rows - rows.mean()) / rows.std(ddof=0)  # as the published criteria were
    fits = {s: bg.GaussianMixture(3, covariance_type=s, random_state=0).fit(rows) for s in ("full", "tied")}
    best = min(fits, key=lambda s: fits[s].bic(rows))
    assert best == "tied" and fits[best].bic(rows) == pytest.approx(2515.8269, abs=0.01)
    assert adjusted_rand_score(SPECIES, fits[best].labels_) >= 0.95


PUBLISHED = {3: 3.39661, 5: 3.75249, 8: 4.00737}
TRIED = PUBLISHED if os.environ.get("BAYESGMM_ALL_APPLICATIONS") else [3]  # the others take half a minute


@pytest.mark.slow
@pytest.mark.parametrize("k", TRIED)
def test_the_colours_of_a_picture_are_as_likely_as_they_were_published(k):
    """China.jpg at every fourth pixel: the mean log-likelihood of the reference program."""
    from sklearn.datasets import load_sample_image

    colours = (load_sample_image("china.jpg")[::4, ::4] / 255.0).reshape(-1, 3)
    assert bg.GaussianMixture(k, random_state=0).fit(colours).score(colours) >= PUBLISHED[k] - 5e-6
