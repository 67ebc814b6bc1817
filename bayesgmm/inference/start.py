"""Where EM starts: partitions of (a sample of) the rows, turned into mixtures by one M-step."""

from __future__ import annotations

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Moments, PseudoMoments, Structure
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

SAMPLE = 4096  # rows that starting partitions look at; EM itself sees them all
MOST_CELLS = 2_000_000  # partitions x slots x rows held at once
HIERARCHICAL = 1500  # rows up to which trees (quadratic memory) are built


def start_labels(
    rows: NDArray[np.float64], n_components: int, n_init: int, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """``n_init`` starting partitions of standardised rows (n, D): hierarchical trees, then random ones in turn.

    No one kind finds every optimum: on twelve textbook data sets each of these was the likeliest to reach some
    maximum that the others missed. Trees and centres look at the rows as they are and sphered, since elongated
    clusters hide from one of the two.
    """
    if n_components == 1:
        return [np.zeros(len(rows), dtype=np.intp)]
    sphered = _sphere(rows)
    out: list[NDArray[np.intp]] = []
    if len(rows) <= HIERARCHICAL and n_init > 1:
        trees = ((rows, "ward"), (sphered, "ward"), (rows, "complete"), (rows, "average"))
        out += [_tree(space, n_components, linkage) for space, linkage in trees[: n_init - 1]]
    kinds = (
        lambda: _kmeans(rows, n_components, rng),
        lambda: rng.permutation(len(rows)) % n_components,
        lambda: _kmeans(rows[:, _half(rows.shape[1], rng)], n_components, rng),
        lambda: _random_centres(rows, n_components, rng),
        lambda: _random_centres(sphered, n_components, rng),
    )
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # handing a few thousand rows to threads costs k-means more than it saves
        return out + [kinds[i % len(kinds)]() for i in range(n_init - len(out))]


def sample_size(model: FiniteMixture, n_features: int) -> int:
    """Rows to start from: SAMPLE, or ten times what the components need to determine their covariances."""
    return max(SAMPLE, 10 * model.n_components * model.structure.rows_needed(n_features))


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
    together = max(1, MOST_CELLS // (n_slots * len(rows)))
    parts = []
    for first in range(0, len(labels), together):
        one_hot = np.stack([labels_to_one_hot(each, n_slots) for each in labels[first : first + together]])
        parts.append(mixtures_from_responsibilities(structure, rows, one_hot * sample_weight, shrink=True))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


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
    distinct = len(np.unique(rows[:, 0]))  # at least so many distinct rows
    if distinct < n_components:
        distinct = len(np.unique(rows, axis=0))
    return KMeans(min(n_components, distinct), n_init=1, random_state=seed).fit(rows).labels_.astype(np.intp)


def _random_centres(
    rows: NDArray[np.float64], n_components: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    centres = rows[rng.choice(len(rows), n_components, replace=False)]
    return np.argmin(((rows[:, None, :] - centres) ** 2).sum(axis=-1), axis=1)


def _half(n_features: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Half of the features at random: clusters often differ in a few."""
    return rng.choice(n_features, (n_features + 1) // 2, replace=False)


def _tree(rows: NDArray[np.float64], n_components: int, linkage: str) -> NDArray[np.intp]:
    from scipy.cluster import hierarchy

    return hierarchy.fcluster(hierarchy.linkage(rows, linkage), n_components, "maxclust").astype(np.intp) - 1
