"""Where EM starts: partitions of (a sample of) the rows, turned into mixtures by one M-step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Moments, PseudoMoments, Structure
from bayesgmm.mixture import Mixture

SAMPLE = 4096  # rows that starting partitions look at; EM itself sees them all
HIERARCHICAL = 1500  # rows up to which a Ward tree (quadratic memory) is built


def start_labels(
    rows: NDArray[np.float64], n_components: int, n_init: int, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """``n_init`` starting partitions of standardised rows (n, D): a Ward tree, k-means, random centres.

    k-means (k-means++ and Lloyd to convergence) alternates between the rows as they are and sphered ones, since
    elongated clusters hide from one of the two; random centres reach optima that k-means never proposes.
    """
    if n_components == 1:
        return [np.zeros(len(rows), dtype=np.intp)]
    spaces = (rows, _sphere(rows))
    out = []
    if len(rows) <= HIERARCHICAL and n_init > 1:
        out.append(_ward(spaces[0], n_components))
    for i in range(n_init - len(out)):
        if i % 3 == 2:
            out.append(_random_centres(rows, n_components, rng))
        else:
            out.append(_kmeans(spaces[i % 3], n_components, rng))
    return out


def sample_rows(rows: NDArray[np.float64], sample_weight: NDArray[np.float64], rng: np.random.Generator):
    """At most SAMPLE rows of positive weight, drawn without replacement, and their weights."""
    index = np.flatnonzero(sample_weight > 0)
    if index.size > SAMPLE:
        index = np.sort(rng.choice(index, SAMPLE, replace=False))
    return rows[index], sample_weight[index]


def mixtures_from_labels(
    structure: Structure,
    rows: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    labels: list[NDArray[np.intp]],
    n_slots: int,
) -> Mixture:
    """One mixture a partition (C, n_slots), slots beyond a partition's clusters empty (log weight -inf).

    Clusters of few rows borrow D + 1 rows' worth of the pooled covariance, so that no start is a spike.
    """
    one_hot = np.stack([labels_to_one_hot(each, n_slots) for each in labels])
    return mixtures_from_responsibilities(structure, rows, one_hot * sample_weight, shrink=True)


def labels_to_one_hot(labels: NDArray[np.intp], n_slots: int) -> NDArray[np.float64]:
    """(n_slots, n) indicator of a partition."""
    return (labels[None, :] == np.arange(n_slots)[:, None]).astype(float)


def mixtures_from_responsibilities(structure, rows, responsibilities, shrink: bool) -> Mixture:
    """One M-step from weighted responsibilities (C, K, n)."""
    d = rows.shape[1]
    phi = structure.features(rows.T)
    shared_total = structure.shared_features(rows.T) @ responsibilities[0].sum(axis=0)
    moments = structure.moments(responsibilities @ phi.T, shared_total, d)
    k = moments.counts.shape[-1]
    nothing = Moments(np.zeros(()), np.zeros(()), np.zeros(()))
    means, covariances = structure.maximise(moments, PseudoMoments(nothing, np.zeros(())))
    if shrink:
        dense = structure.dense(covariances, k, d)
        share = moments.counts / moments.counts.sum(axis=-1, keepdims=True)
        pooled = np.einsum("ck,ckij->cij", share, dense)
        pooled = pooled + 1e-3 * np.eye(d) * (np.trace(pooled, axis1=-2, axis2=-1)[:, None, None] / d + 1e-6)
        n = moments.counts[..., None, None]
        covariances = structure.project((n * dense + (d + 1) * pooled[:, None]) / (n + d + 1))
    with np.errstate(divide="ignore"):  # an empty slot has log weight -inf
        log_weights = np.log(moments.counts / moments.counts.sum(axis=-1, keepdims=True))
    return Mixture(structure, log_weights, means, covariances)


def _sphere(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows.T)))
    return (rows - rows.mean(axis=0)) @ vectors / np.sqrt(np.maximum(values, 1e-9 * values.max()))


def _kmeans(rows: NDArray[np.float64], n_components: int, rng: np.random.Generator) -> NDArray[np.intp]:
    from sklearn.cluster import KMeans

    seed = int(rng.integers(2**31))
    distinct = min(n_components, len(np.unique(rows, axis=0)))
    return KMeans(distinct, n_init=1, random_state=seed).fit(rows).labels_.astype(np.intp)


def _random_centres(rows: NDArray[np.float64], n_components: int, rng: np.random.Generator) -> NDArray[np.intp]:
    centres = rows[rng.choice(len(rows), n_components, replace=False)]
    return np.argmin(((rows[:, None, :] - centres) ** 2).sum(axis=-1), axis=1)


def _ward(rows: NDArray[np.float64], n_components: int) -> NDArray[np.intp]:
    from scipy.cluster.hierarchy import cut_tree, linkage

    return cut_tree(linkage(rows, "ward"), n_components)[:, 0]
