"""What a search keeps of draws of very many clusters: the rows that share one with each row, and no table at all.

A row's cluster in a draw then holds few other rows, its fellows, and only clusters of the growing partition that
hold some of them can gain by the row (the first step of g is 0). :class:`FellowTables` answers what
:class:`bayesgmm.posterior.count_tables.JointTables` does, in memory that grows with the labels alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.posterior.label_draws import LabelDraws


class Shared(NamedTuple):
    """How many fellows of each of some rows a draw and a cluster hold, where there are any."""

    row: Int[np.ndarray, " m"]  # its place among the rows asked for
    draw: Int[np.ndarray, " m"]
    cluster: Int[np.ndarray, " m"]
    size: Int[np.ndarray, " m"]


class FellowTables:
    """Labels of a growing partition, read through the clusters that the rows share in the draws."""

    def __init__(
        self,
        draws: LabelDraws,
        mass: Float64[np.ndarray, " n"],
        labels: Int[np.ndarray, " N"],
        width: int,
    ) -> None:
        self._draws, self._mass, self._step, self._width = draws, mass, np.diff(mass), width
        self._labels = labels.copy()
        self.joint = self._mass_of(np.flatnonzero(labels >= 0))

    def copy(self) -> FellowTables:
        """The same, to go on from."""
        other = object.__new__(FellowTables)
        other._draws, other._mass, other._step = self._draws, self._mass, self._step
        other._width, other._labels, other.joint = self._width, self._labels.copy(), self.joint.copy()
        return other

    def widen(self, more: int) -> None:
        """Make room for more clusters."""
        self._width += more

    def add(self, row: int, cluster: int) -> None:
        """Count a row in."""
        self.joint += self._own_step(row, cluster)
        self._labels[row] = cluster

    def subtract(self, row: int, cluster: int) -> None:
        """Count a row out."""
        self._labels[row] = -1
        self.joint -= self._own_step(row, cluster)

    def clear(self, cluster: int, rows: Int[np.ndarray, " n"]) -> None:
        """Count all rows of a cluster out."""
        self.joint -= self._mass_of(rows)
        self._labels[rows] = -1

    def together_new(self, row: int) -> Float64[np.ndarray, " C"]:
        """The expected rise of J for a row, its own cluster counted without it."""
        return self.together(np.array([row]))[0]

    def together(
        self,
        rows: Int[np.ndarray, " n"],
        own: Int[np.ndarray, " n"] | None = None,
        weights: Float64[np.ndarray, " S"] | None = None,
    ) -> Float64[np.ndarray, "n C"]:
        """The expected rise of J for each row, once taken out of its own cluster, under other weights if given."""
        row, draw, cluster, size = self._shared(rows)
        rise = (self._draws.weights if weights is None else weights)[draw] * self._step[size]
        return _sums(row * self._width + cluster, rise, len(rows) * self._width).reshape(len(rows), -1)

    def joints(
        self, rows: Int[np.ndarray, " n"], own: Int[np.ndarray, " n"], clusters: Int[np.ndarray, "n m"]
    ) -> Float64[np.ndarray, "n S m"]:
        """J of every draw, if each row were taken out of its own cluster and put into each of some clusters."""
        row, draw, cluster, size = self._shared(rows)
        step = self._step[size]
        out = np.tile(self.joint[:, None], (len(rows), 1, clusters.shape[1]))
        mine = cluster == own[row]
        out[row[mine], draw[mine]] -= step[mine, None]
        place = np.full((len(rows), self._width), -1)
        np.put_along_axis(place, clusters, np.arange(clusters.shape[1])[None], axis=1)
        at = place[row, cluster]
        out[row[at >= 0], draw[at >= 0], at[at >= 0]] += step[at >= 0]
        return out

    def _own_step(self, row: int, cluster: int) -> Float64[np.ndarray, " S"]:
        """The step of g that a row makes in a cluster that does not hold it, in every draw."""
        shared = self._shared(np.array([row]))
        mine = shared.cluster == cluster
        out = np.zeros(len(self.joint))
        out[shared.draw[mine]] = self._step[shared.size[mine]]
        return out

    def _shared(self, rows: Int[np.ndarray, " n"]) -> Shared:
        """The clusters of the rows' fellows, by row and draw."""
        draws = self._draws
        s = len(draws.weights)
        codes = draws.codes[rows].ravel()
        sizes = draws.cluster_sizes[codes]
        of = np.flatnonzero(sizes > 1)  # (row, draw)
        codes, sizes = codes[of], sizes[of]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        fellows, of = (
            draws.members[np.repeat(draws.member_starts[codes], sizes) + within],
            np.repeat(of, sizes),
        )
        labels = self._labels[fellows]
        counted = (labels >= 0) & (fellows != rows[of // s])
        key, count = np.unique(of[counted] * self._width + labels[counted], return_counts=True)
        of, cluster = np.divmod(key, self._width)
        return Shared(of // s, of % s, cluster, count)

    def _mass_of(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, " S"]:
        """The part of J (S,) that clusters of these rows alone make up."""
        key = self._draws.codes[rows] * np.int64(self._width) + self._labels[rows, None]
        cells, count = np.unique(key, return_counts=True)
        draw = self._draws.draw_of_cluster[cells // self._width]
        return _sums(draw, self._mass[count], len(self._draws.weights))


def _sums(at: Int[np.ndarray, " m"], values: Float64[np.ndarray, " m"], n: int) -> Float64[np.ndarray, " n"]:
    """Sums of values by place; of floats also where there are none, which ``bincount`` counts as integers."""
    return np.bincount(at, values, n).astype(float, copy=False)
