"""What a search keeps of the draws: how much each row has in common with each cluster of a growing partition.

All kinds answer one question, ``together``: by how much J, the sum over draws of g of the shared counts, would
rise if a row were put into each cluster (see :mod:`bayesgmm.posterior.losses`). :class:`JointTables` hold the
counts themselves, for any loss. Where g counts pairs, the rise is a sum of similarities, and
:class:`PairTables` need no draws at all. :mod:`bayesgmm.posterior.fellow_tables` serves draws of very many clusters.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.posterior.label_draws import LabelDraws

Labels = Int[np.ndarray, " N"]


class JointTables:
    """Counts (R, C) of rows in every (draw, cluster) and every cluster of the partition, and their steps of g."""

    def __init__(
        self, draws: LabelDraws, mass: Float64[np.ndarray, " n"], labels: Labels, width: int
    ) -> None:
        self._draws, self._mass, self._step = draws, mass, np.diff(mass)
        self._counts = np.zeros((len(draws.cluster_weights), width), np.int32)
        used = int(labels.max(initial=0)) + 1
        self._counts[:, :used] = draws.counts(labels)
        self._gains = self._step[self._counts]
        self.joint = draws.per_draw(mass[self._counts].sum(axis=1))

    def copy(self) -> JointTables:
        """The same, to go on from."""
        other = object.__new__(JointTables)
        other._draws, other._mass, other._step = self._draws, self._mass, self._step
        other._counts, other._gains, other.joint = self._counts.copy(), self._gains.copy(), self.joint.copy()
        return other

    def widen(self, more: int) -> None:
        """Make room for more clusters."""
        self._counts = np.pad(self._counts, ((0, 0), (0, more)))
        self._gains = self._step[self._counts]

    def add(self, row: int, cluster: int) -> None:
        """Count a row in."""
        counts = self._counts[self._draws.codes[row], cluster]
        self.joint += self._step[counts]
        self._set(row, cluster, counts + 1)

    def subtract(self, row: int, cluster: int) -> None:
        """Count a row out."""
        counts = self._counts[self._draws.codes[row], cluster] - 1
        self.joint -= self._step[counts]
        self._set(row, cluster, counts)

    def _set(self, row: int, cluster: int, counts: Int[np.ndarray, " S"]) -> None:
        at = self._draws.codes[row]
        self._counts[at, cluster] = counts
        self._gains[at, cluster] = self._step[counts]

    def clear(self, cluster: int, rows: Int[np.ndarray, " n"]) -> None:
        """Count all rows of a cluster out."""
        self.joint -= self._draws.per_draw(self._mass[self._counts[:, cluster]])
        self._counts[:, cluster], self._gains[:, cluster] = 0, self._step[0]

    def together_new(self, row: int) -> Float64[np.ndarray, " C"]:
        """The expected rise of J for a row that is in no cluster."""
        return self._draws.weights @ self._gains.take(self._draws.codes[row], axis=0)

    def together(
        self,
        rows: Int[np.ndarray, " n"],
        own: Int[np.ndarray, " n"],
        weights: Float64[np.ndarray, " S"] | None = None,
    ) -> Float64[np.ndarray, "n C"]:
        """The expected rise of J for each row, once taken out of its own cluster, under other weights if given."""
        weights = self._draws.weights if weights is None else weights
        if len(rows) == 1:
            out = (weights @ self._gains.take(self._draws.codes[rows[0]], axis=0))[None]
            out[0, own[0]] = weights @ self._own_steps(rows, own)[0]
            return out
        order = np.argsort(own, kind="stable")
        codes = self._draws.codes[rows[order]]
        out = np.empty((len(rows), self._counts.shape[1]))
        out[order] = self._draws.sparse(codes, weights) @ self._gains
        bounds = np.searchsorted(own[order], np.arange(self._counts.shape[1] + 1))
        for cluster, (begin, end) in enumerate(pairwise(bounds)):
            if begin < end:
                without = self._step[self._counts[:, cluster] - 1]
                out[order[begin:end], cluster] = without.take(codes[begin:end]) @ weights
        return out

    def _own_steps(
        self, rows: Int[np.ndarray, " n"], own: Int[np.ndarray, " n"]
    ) -> Float64[np.ndarray, "n S"]:
        """The step of g that each row makes in its own cluster in every draw."""
        at = self._draws.codes[rows] * np.intp(self._counts.shape[1]) + own[:, None]
        return self._step.take(self._counts.take(at) - 1)

    def joints(
        self, rows: Int[np.ndarray, " n"], own: Int[np.ndarray, " n"], clusters: Int[np.ndarray, "n m"]
    ) -> Float64[np.ndarray, "n S m"]:
        """J of every draw, if each row were taken out of its own cluster and put into each of some clusters."""
        at = self._draws.codes[rows] * np.intp(self._counts.shape[1])
        out = self._gains.take(at[:, :, None] + clusters[:, None, :])
        out += (self.joint - self._own_steps(rows, own))[:, :, None]
        return np.where((clusters == own[:, None])[:, None, :], self.joint[:, None], out)


class PairTables:
    """Expected number (N, C) of a cluster's rows that belong together with each row, from the similarity (N, N)."""

    def __init__(self, similarity: Float64[np.ndarray, "N N"], labels: Labels, width: int) -> None:
        self._similarity = similarity
        one_hot = np.zeros((len(labels), width))
        placed = np.flatnonzero(labels >= 0)
        one_hot[placed, labels[placed]] = 1.0
        self._sums = similarity @ one_hot
        self._pairs = 0.5 * float((self._sums * one_hot).sum() - len(placed))

    @property
    def joint(self) -> Float64[np.ndarray, " 1"]:
        """The expected number of pairs that both hold together."""
        return np.array([self._pairs])

    def copy(self) -> PairTables:
        """The same, to go on from."""
        other = object.__new__(PairTables)
        other._similarity, other._sums, other._pairs = self._similarity, self._sums.copy(), self._pairs
        return other

    def widen(self, more: int) -> None:
        """Make room for more clusters."""
        self._sums = np.pad(self._sums, ((0, 0), (0, more)))

    def add(self, row: int, cluster: int) -> None:
        """Count a row in."""
        self._pairs += self._sums[row, cluster]
        self._sums[:, cluster] += self._similarity[row]

    def subtract(self, row: int, cluster: int) -> None:
        """Count a row out."""
        self._sums[:, cluster] -= self._similarity[row]
        self._pairs -= self._sums[row, cluster]

    def clear(self, cluster: int, rows: Int[np.ndarray, " n"]) -> None:
        """Count all rows of a cluster out."""
        self._pairs -= 0.5 * float(self._sums[rows, cluster].sum() - len(rows))
        self._sums[:, cluster] = 0.0

    def together_new(self, row: int) -> Float64[np.ndarray, " C"]:
        """The expected rise of J for a row that is in no cluster."""
        return self._sums[row]

    def together(
        self,
        rows: Int[np.ndarray, " n"],
        own: Int[np.ndarray, " n"],
        weights: Float64[np.ndarray, " 1"] | None = None,
    ) -> Float64[np.ndarray, "n C"]:
        """The expected rise of J for each row, once taken out of its own cluster, under another weight if given."""
        out = self._sums[rows]
        out[np.arange(len(rows)), own] -= 1.0
        return out if weights is None else weights[0] * out
