"""Where EM starts: partitions of (a sample of) the rows, turned into mixtures by one M-step."""

from __future__ import annotations

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Moments, PseudoMoments, Structure
from bayesgmm.inference.k_means import k_means, nearest
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

SAMPLE = 4096  # rows on which starts are compared; EM itself sees them all
FEW = 1024  # rows on which they are made, where there are more than SAMPLE
MOST_CELLS = 2_000_000  # partitions x slots x rows held at once
HIERARCHICAL = 1500  # rows up to which trees (quadratic memory) are built


class Trees:
    """Hierarchical trees of standardised rows (n, D), each built when first cut and then kept for other cuts.

    None are built of too many rows, nor where the rows are ``thinned``: they would take longer than all else.
    """

    def __init__(self, rows: NDArray[np.float64], thinned: bool = False) -> None:
        self.sphered = _sphere(rows)
        spaces = ((rows, "ward"), (self.sphered, "ward"), (rows, "complete"), (rows, "average"))
        self._recipes = spaces if len(rows) <= HIERARCHICAL and not thinned else ()
        self._linkages: list[NDArray[np.float64]] = []

    def cut(self, n_components: int, most: int) -> list[NDArray[np.intp]]:
        """Partitions (n,) into so many clusters by the first ``most`` trees."""
        from scipy.cluster import hierarchy

        wanted = self._recipes[:most]
        for space, linkage in wanted[len(self._linkages) :]:
            self._linkages.append(hierarchy.linkage(space, linkage))
        cuts = [hierarchy.fcluster(tree, n_components, "maxclust") for tree in self._linkages[: len(wanted)]]
        return [each.astype(np.intp) - 1 for each in cuts]


def start_labels(
    rows: NDArray[np.float64],
    n_components: int,
    n_init: int,
    rng: np.random.Generator,
    trees: Trees | None = None,
) -> list[NDArray[np.intp]]:
    """``n_init`` starting partitions of standardised rows (n, D): hierarchical trees, then random ones in turn.

    No one kind finds every optimum: on twelve textbook data sets each of these was the likeliest to reach some
    maximum that the others missed. Trees and centres look at the rows as they are and sphered, since elongated
    clusters hide from one of the two. ``trees`` of these rows may be shared between calls.
    """
    if n_components == 1:
        return [np.zeros(len(rows), dtype=np.intp)]
    trees = trees or Trees(rows)
    out = trees.cut(n_components, n_init - 1)
    kinds = (
        lambda: k_means(rows, n_components, rng),
        lambda: rng.permutation(len(rows)) % n_components,
        lambda: k_means(rows[:, _half(rows.shape[1], rng)], n_components, rng),
        lambda: random_centres(rows, n_components, rng),
        lambda: random_centres(trees.sphered, n_components, rng),
    )
    return out + [kinds[i % len(kinds)]() for i in range(n_init - len(out))]


def sample_size(model: FiniteMixture, n_features: int) -> int:
    """Rows to start from: SAMPLE, or ten times what the components need to determine their covariances."""
    return max(SAMPLE, 10 * model.n_components * model.structure.rows_needed(n_features))


def enough_rows(model: FiniteMixture, n_features: int) -> int:
    """Rows to make starts from and to climb first: so that a component of a hundredth of its share is no spike.

    Fewer lose optima: a small sample's surface has more of them, and a start that has climbed one stays there.
    """
    return max(FEW, 100 * model.n_components * model.structure.rows_needed(n_features))


def thinned(
    rows: NDArray[np.float64], sample_weight: NDArray[np.float64], least: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every second, third, ... row and its weight, at least so many."""
    step = max(1, len(rows) // least)
    return rows[::step], sample_weight[::step]


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
    shared_total = responsibilities.sum(axis=1) @ structure.shared_features(rows.T).T
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


def random_centres(
    rows: NDArray[np.float64], n_components: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Every row (N,) dealt to the nearest of some rows taken at random."""
    return nearest(rows, rows[rng.choice(len(rows), n_components, replace=False)])


def _half(n_features: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Half of the features at random: clusters often differ in a few."""
    return rng.choice(n_features, (n_features + 1) // 2, replace=False)
