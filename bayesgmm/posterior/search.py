"""Climbing down the expected loss, one row at a time: allocation in sequence, sweeps, destroying and rebuilding.

The search of Dahl, Johnson & Mueller (2022), section 4. Putting a row into a cluster raises the sums A and J (see
:mod:`bayesgmm.posterior.losses`) by one step of g, so the tables of the present partition give the price of every
cluster for a row at once: a gather over draws. Sweeps are lazy: one product prices all rows, and only rows that
would gain by moving are visited, in random order, each priced anew at its turn.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.posterior.label_draws import LabelDraws, by_size
from bayesgmm.posterior.losses import Loss

MOST_SWEEPS = 100
MOST_REBUILDS = 10  # clusters destroyed and rebuilt at one optimum (Dahl et al., maximum of zealous attempts)
MOST_CELLS = 2_000_000  # rows x draws x clusters priced at once
SPARE = 4  # columns of the tables kept ready for new clusters


class Search:
    """A partition on its way down, with its count tables.

    Attributes
    ----------
    labels : (N,), -1 for rows that belong to no cluster yet
    sizes : (C,) of the clusters; at least one is empty unless ``max_clusters`` are in use
    """

    def __init__(self, draws: LabelDraws, loss: Loss, max_clusters: int) -> None:
        self.draws, self.loss, self.max_clusters = draws, loss, max_clusters
        mass = loss.mass(np.arange(draws.n_rows + 2))
        self._step = np.diff(mass)  # g(n + 1) - g(n)
        self._tolerance = 1e-10 * float(self._step.max()) if loss.additive else 1e-12
        self._own_masses = draws.per_draw(loss.mass(draws.cluster_sizes))
        self.load(np.full(draws.n_rows, -1))

    def load(self, labels: Int[np.ndarray, " N"]) -> None:
        """Begin anew at a partition, complete or not."""
        used = int(labels.max(initial=-1)) + 1
        width = min(self.max_clusters, used + SPARE)
        self.labels = np.array(labels, np.intp)
        self.sizes = np.bincount(labels[labels >= 0], minlength=width)
        self._counts = np.zeros((len(self.draws.cluster_weights), width), np.int32)
        self._counts[:, : max(used, 1)] = self.draws.counts(self.labels)
        self._refresh()

    def _refresh(self) -> None:
        self._gains = self._step[self._counts]
        self._joint = self.draws.per_draw(self.loss.mass(self._counts).sum(axis=1))

    def score(self) -> float:
        """Expected loss of the present partition, which must be complete."""
        own = float(self.loss.mass(self.sizes).sum())
        losses = self.loss.value(own, self._own_masses, self._joint, self.draws.n_rows)
        return float(self.draws.weights @ losses)

    def place(self, row: int, cluster: int) -> None:
        """Put a row that has no cluster into one."""
        at = self.draws.codes[row]
        counts = self._counts[at, cluster]
        self._joint += self._step[counts]
        self._set(at, cluster, counts + 1)
        self.labels[row] = cluster
        self.sizes[cluster] += 1
        if self.sizes.all() and len(self.sizes) < self.max_clusters:
            self._widen()

    def remove(self, row: int) -> None:
        """Take a row out of its cluster."""
        at, cluster = self.draws.codes[row], self.labels[row]
        counts = self._counts[at, cluster] - 1
        self._joint -= self._step[counts]
        self._set(at, cluster, counts)
        self.labels[row] = -1
        self.sizes[cluster] -= 1

    def _set(self, at: Int[np.ndarray, " S"], cluster: int, counts: Int[np.ndarray, " S"]) -> None:
        self._counts[at, cluster] = counts
        self._gains[at, cluster] = self._step[counts]

    def _widen(self) -> None:
        more = min(len(self.sizes), self.max_clusters - len(self.sizes))
        self.sizes = np.pad(self.sizes, (0, more))
        self._counts = np.pad(self._counts, ((0, 0), (0, more)))
        self._gains = self._step[self._counts]

    def allocate(self, order: Int[np.ndarray, " n"]) -> None:
        """Place rows one after another, each where it costs least given those placed before.

        Losses that are not additive are guided by the additive one of their family here.
        """
        a, b, weights, codes = self.loss.a, self.loss.b, self.draws.weights, self.draws.codes
        for row in order:
            together = weights @ self._gains.take(codes[row], axis=0)
            self.place(row, int(np.argmin(b * self._step[self.sizes] - (a + b) * together)))

    def sweep(self, rng: np.random.Generator) -> None:
        """Move rows until none gains by moving alone."""
        everyone = np.arange(self.draws.n_rows)
        for _ in range(MOST_SWEEPS):
            best, gain = self.best_moves(everyone)
            restless = np.flatnonzero(gain > self._tolerance)
            if not len(restless):
                return
            for row in rng.permutation(restless):
                best, gain = self.best_moves(np.array([row]))
                if gain[0] > self._tolerance:
                    self.remove(row)
                    self.place(row, int(best[0]))

    def rebuild(self, rng: np.random.Generator) -> None:
        """Destroy a cluster, allocate its rows anew and sweep; keep what is better, until no cluster helps."""
        score, kept = self.score(), self.labels.copy()
        clusters = list(rng.permutation(np.flatnonzero(self.sizes)))
        for _ in range(MOST_REBUILDS):
            if not clusters:
                break
            rows = np.flatnonzero(self.labels == clusters.pop())
            self.load(np.where(np.isin(np.arange(len(kept)), rows), -1, kept))
            self.allocate(rng.permutation(rows))
            self.sweep(rng)
            if self.score() < score - 1e-12 * max(1.0, score):
                kept = by_size(self.labels)
                score, clusters = self.score(), list(rng.permutation(kept.max() + 1))
            self.load(kept)

    def best_moves(self, rows: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """The cheapest cluster (n,) for each row, the others as they are, and what is gained by moving there."""
        best, gain = np.empty(len(rows), np.intp), np.empty(len(rows))
        size = max(1, MOST_CELLS // (self.draws.codes.shape[1] * (1 if self.loss.additive else len(self.sizes))))
        prices = self._additive_prices if self.loss.additive else self._exact_prices
        for begin in range(0, len(rows), size):
            block = slice(begin, begin + size)
            price = prices(rows[block])
            best[block] = price.argmin(axis=1)
            gain[block] = price[np.arange(len(price)), self.labels[rows[block]]] - price.min(axis=1)
        return best, gain

    def _additive_prices(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n C"]:
        """What A and J rise by, weighed, if each row were taken out and put into each cluster."""
        a, b, weights, codes = self.loss.a, self.loss.b, self.draws.weights, self.draws.codes[rows]
        each, own = np.arange(len(rows)), self.labels[rows]
        if len(rows) == 1:
            together = (weights @ self._gains.take(codes[0], axis=0))[None]
        else:
            together = self.draws.sparse(codes) @ self._gains
        together[each, own] = self._step[self._counts[codes, own[:, None]] - 1] @ weights
        apart = np.broadcast_to(self._step[self.sizes], together.shape).copy()
        apart[each, own] = self._step[self.sizes[own] - 1]
        return b * apart - (a + b) * together

    def _exact_prices(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n C"]:
        """Expected loss if each row were taken out and put into each cluster."""
        codes, own = self.draws.codes[rows], self.labels[rows]
        each = np.arange(len(rows))
        without = self._step[self._counts[codes, own[:, None]] - 1]
        together = self._gains[codes]
        together[each, :, own] = without
        joint = (self._joint - without)[:, :, None] + together
        apart = np.broadcast_to(self._step[self.sizes], (len(rows), len(self.sizes))).copy()
        apart[each, own] = self._step[self.sizes[own] - 1]
        alone = self.loss.mass(self.sizes).sum() - apart[each, own]
        estimate = (alone[:, None] + apart)[:, None, :]
        losses = self.loss.value(estimate, self._own_masses[:, None], joint, self.draws.n_rows)
        return np.einsum("s,nsc->nc", self.draws.weights, losses)
