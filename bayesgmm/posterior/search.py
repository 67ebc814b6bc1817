"""Climbing down the expected loss, one row at a time: allocation in sequence, sweeps, destroying and rebuilding.

The search of Dahl, Johnson & Mueller (2022), section 4. Putting a row into a cluster raises the sums A and J (see
:mod:`bayesgmm.posterior.losses`) by one step of g, so tables of the present partition give the price of every
cluster for a row at once. Sweeps are lazy: all rows are priced together, and only rows that would gain by moving
are visited, in random order, each priced anew at its turn.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.posterior.count_tables import JointTables, PairTables
from bayesgmm.posterior.fellow_tables import FellowTables
from bayesgmm.posterior.label_draws import LabelDraws
from bayesgmm.posterior.losses import Loss
from bayesgmm.posterior.similarity import similarity_of_draws

MOST_SWEEPS = 100
MOST_REBUILDS = 10  # clusters destroyed and rebuilt at one optimum (Dahl et al., maximum of zealous attempts)
SHAKEN = (0.05, 0.1, 0.2)  # shares of the rows
MOST_CODES = 4_000_000  # rows x draws, or rows x clusters, priced at once
MOST_CELLS = 100_000  # rows x draws x clusters, where every draw's own J is needed; within a core's cache
MOST_CANDIDATES = 6  # clusters that are priced so for a row
MOST_COUNTS = 50_000_000  # (draw, cluster) x cluster in a table of counts
CALL = 20_000  # a visit costs as much as so many numbers looked up
DEAR = 40  # a fellow found costs as much as so many clusters looked up
MOST_PAIRED = 4000  # rows whose similarity matrix is kept for losses that count pairs
WATCHED = 64  # rows visited again and again between two looks at all of them, or an eighth of all
SPARE = 2  # columns of the tables kept ready for new clusters, or a quarter of those in use


class Search:
    """A partition on its way down, with its tables.

    Attributes
    ----------
    labels : (N,), -1 for rows that belong to no cluster yet
    sizes : (C,) of the clusters; at least one is empty unless ``max_clusters`` are in use
    work : numbers looked up so far, about
    """

    def __init__(self, draws: LabelDraws, loss: Loss, max_clusters: int) -> None:
        self.draws, self.loss, self.max_clusters = draws, loss, max_clusters
        self._mass = loss.mass(np.arange(draws.n_rows + 2))
        self._step = np.diff(self._mass)  # g(n + 1) - g(n)
        self._tolerance = 1e-10 * float(self._step.max()) if loss.additive else 1e-12
        self._own_masses = draws.per_draw(loss.mass(draws.cluster_sizes))
        self._weights, self._similarity, self._most_drawn = draws.weights, None, int(draws.n_clusters.max())
        self._kind = FellowTables if _many_clusters(draws, max_clusters) else JointTables
        if loss.additive and not loss.information and draws.n_rows <= MOST_PAIRED:
            self._similarity = similarity_of_draws(draws)
            self._own_masses, self._weights = np.array([draws.weights @ self._own_masses]), np.ones(1)
        self.work = 0
        self._slopes = loss.b, -(loss.a + loss.b) * self._weights
        self.load(np.full(draws.n_rows, -1))

    def load(self, labels: Int[np.ndarray, " N"]) -> None:
        """Begin anew at a partition, complete or not."""
        width = min(self.max_clusters, int(labels.max(initial=-1)) + 1 + SPARE)
        self.labels = np.array(labels, np.intp)
        self.sizes = np.bincount(labels[labels >= 0], minlength=width)
        self._tables: JointTables | FellowTables | PairTables
        if self._similarity is None:
            self._tables = self._kind(self.draws, self._mass, self.labels, width)
        else:
            self._tables = PairTables(self._similarity, self.labels, width)

    def score(self) -> float:
        """Expected loss of the present partition, which must be complete."""
        return float(self._weights @ self._losses())

    def place(self, row: int, cluster: int) -> None:
        """Put a row that has no cluster into one."""
        self._tables.add(row, cluster)
        self.labels[row] = cluster
        self.sizes[cluster] += 1
        if self.sizes.all() and len(self.sizes) < self.max_clusters:
            more = min(max(SPARE, len(self.sizes) // 4), self.max_clusters - len(self.sizes))
            self.sizes = np.pad(self.sizes, (0, more))
            self._tables.widen(more)

    def remove(self, row: int) -> None:
        """Take a row out of its cluster."""
        cluster = int(self.labels[row])
        self._tables.subtract(row, cluster)
        self.labels[row] = -1
        self.sizes[cluster] -= 1

    def destroy(self, cluster: int) -> Int[np.ndarray, " n"]:
        """Take all rows out of a cluster, and return them."""
        rows = np.flatnonzero(self.labels == cluster)
        self._tables.clear(cluster, rows)
        self.labels[rows], self.sizes[cluster] = -1, 0
        return rows

    def allocate(self, order: Int[np.ndarray, " n"]) -> None:
        """Place rows one after another, each where it costs least given those placed before.

        Losses that are not additive are guided by the additive one of their family here. No more clusters come to be
        than a draw has: the first rows know little of the others, and would mostly begin one. Sweeps may add more.
        """
        a, b = self.loss.a, self.loss.b
        for row in order.tolist():
            price = b * self._step[self.sizes] - (a + b) * self._tables.together_new(row)
            if np.count_nonzero(self.sizes) >= self._most_drawn:
                price[self.sizes == 0] = np.inf
            self.place(row, int(np.argmin(price)))

    def sweep(self, rng: np.random.Generator) -> None:
        """Move rows until none gains by moving alone: the likeliest to move until they rest, then look at all again."""
        for _ in range(MOST_SWEEPS):
            self._narrow()
            if not self._settle_all(self._likeliest(), rng):
                return

    def _settle_all(self, watched: Int[np.ndarray, " n"], rng: np.random.Generator) -> bool:
        """Visit those of these rows that gain by moving, again and again; whether there were any."""
        for turn in range(MOST_SWEEPS):
            _, gain = self.best_moves(watched)
            restless = watched[gain > self._tolerance]
            if not len(restless):
                return turn > 0
            self._settle(rng.permutation(restless))
            self._slopes = self._new_slopes()
        return True

    def _likeliest(self) -> Int[np.ndarray, " n"]:
        """The rows that seem to gain most by moving, as far as the slopes of the loss tell."""
        self._slopes = self._new_slopes()
        n = self.draws.n_rows
        gain, size = np.empty(n), max(1, MOST_CODES // max(len(self._weights), len(self.sizes)))
        for begin in range(0, n, size):
            rows = np.arange(begin, min(begin + size, n))
            _, gain[rows] = _best(self._linear_prices(rows), self.labels[rows])
        self.work += CALL + n * len(self._weights) * len(self.sizes)
        return np.argsort(-gain, kind="stable")[: max(WATCHED, n // 8)]

    def _narrow(self) -> None:
        """Number the clusters anew where most of the tables' columns have emptied."""
        used = np.count_nonzero(self.sizes)
        if len(self.sizes) > 2 * (used + SPARE):
            self.load(np.unique(self.labels, return_inverse=True)[1])

    def _settle(self, rows: Int[np.ndarray, " n"]) -> None:
        """Visit rows in turn, and move those that still gain by it."""
        for row in rows:
            best, gain = self.best_moves(row[None])
            if gain[0] > self._tolerance:
                self.remove(int(row))
                self.place(int(row), int(best[0]))

    def rebuild(self, rng: np.random.Generator) -> None:
        """Destroy a cluster, allocate its rows anew and sweep; keep what is better, until no cluster helps."""
        clusters = list(rng.permutation(np.flatnonzero(self.sizes)))
        for _ in range(MOST_REBUILDS):
            if not clusters:
                break
            if self._try([int(clusters.pop())], rng.permutation(0), rng):
                clusters = list(rng.permutation(np.flatnonzero(self.sizes)))

    def shake(self, rng: np.random.Generator, trials: int) -> None:
        """Do the same with two clusters at once, or with some of all rows, and keep what is better."""
        n = self.draws.n_rows
        for _ in range(trials):
            some = rng.permutation(n)[: max(2, int(n * rng.choice(SHAKEN)))]
            two = rng.permutation(np.flatnonzero(self.sizes))[:2]
            if rng.random() < 0.5:
                self._try(two.tolist(), some[:0], rng)
            else:
                self._try([], some, rng)

    def _try(self, clusters: list[int], rows: Int[np.ndarray, " n"], rng: np.random.Generator) -> bool:
        """Take clusters and rows out, allocate them anew and sweep; go back, and say so, unless it is better."""
        score, kept = self.score(), (self.labels.copy(), self.sizes.copy(), self._tables.copy())
        for row in rows.tolist():
            self.remove(row)
        out = [rows, *(self.destroy(cluster) for cluster in clusters)]
        self.allocate(rng.permutation(np.concatenate(out)))
        self.sweep(rng)
        if self.score() < score - 1e-12 * max(1.0, score):
            return True
        self.labels, self.sizes, self._tables = kept
        return False

    def best_moves(
        self, rows: Int[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """The cheapest other cluster (n,) for each row, the rest as they are, and what moving there gains."""
        best, gain = np.empty(len(rows), np.intp), np.empty(len(rows))
        prices = self._linear_prices if self.loss.additive else self._exact_prices
        each = 1 if self.loss.additive else MOST_CANDIDATES * MOST_CODES // MOST_CELLS
        size = max(1, MOST_CODES // (each * max(len(self._weights), len(self.sizes))))
        for begin in range(0, len(rows), size):
            block = rows[begin : begin + size]
            best[begin : begin + size], gain[begin : begin + size] = _best(prices(block), self.labels[block])
        self.work += CALL + len(rows) * len(self._weights) * len(self.sizes)
        return best, gain

    def _apart(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n C"]:
        """What A would rise by if each row, once taken out, were put into each cluster."""
        own = self.labels[rows]
        out = np.tile(self._step[self.sizes], (len(rows), 1))
        out[np.arange(len(rows)), own] = self._step[self.sizes[own] - 1]
        return out

    def _linear_prices(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n C"]:
        """What the loss rises by, from its slopes, if each row were taken out and put into each cluster."""
        slope, slopes = self._slopes
        return slope * self._apart(rows) + self._tables.together(rows, self.labels[rows], slopes)

    def _exact_prices(self, rows: Int[np.ndarray, " n"]) -> Float64[np.ndarray, "n C"]:
        """Expected loss if each row were taken out and put into each cluster.

        Only for its own and for those that the slopes make out as cheapest; infinite for the others.
        """
        assert not isinstance(
            self._tables, PairTables
        )  # what counts pairs alone is additive, and never comes here
        own, guide, apart = self.labels[rows], self._linear_prices(rows), self._apart(rows)
        guide[:, np.flatnonzero(self.sizes == 0)[1:]] = np.inf
        guide[np.arange(len(rows)), own] = -np.inf
        clusters = np.argsort(guide, axis=1, kind="stable")[:, :MOST_CANDIDATES]
        without = self._mass[self.sizes].sum() - self._step[self.sizes[own] - 1]
        estimate = (without[:, None] + np.take_along_axis(apart, clusters, axis=1))[:, None, :]
        joint = self._tables.joints(rows, own, clusters)
        losses = self.loss.value(estimate, self._own_masses[:, None], joint, self.draws.n_rows)
        out = np.full(guide.shape, np.inf)
        np.put_along_axis(out, clusters, np.einsum("s,nsc->nc", self._weights, losses), axis=1)
        return out

    def _new_slopes(self) -> tuple[float, Float64[np.ndarray, " S"]]:
        """How the expected loss rises with A, and with every draw's J; up to a factor where both are constant."""
        if self.loss.additive:
            return self.loss.b, -(self.loss.a + self.loss.b) * self._weights
        h = 1e-3 * float(self._step.max())
        by_own = (self._losses(h, 0.0) - self._losses(-h, 0.0)) / (2 * h)
        by_joint = (self._losses(0.0, h) - self._losses(0.0, -h)) / (2 * h)
        return float(self._weights @ by_own), self._weights * by_joint

    def _losses(self, own_rise: float = 0.0, joint_rise: float = 0.0) -> Float64[np.ndarray, " S"]:
        """Loss of the present partition at every draw; with another A and J, as they would be after small rises."""
        own = float(self._mass[self.sizes].sum()) + own_rise
        joint = self._tables.joint + joint_rise
        return np.asarray(self.loss.value(own, self._own_masses, joint, self.draws.n_rows))


def _best(
    price: Float64[np.ndarray, "n C"], own: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """The cheapest cluster (n,) but a row's own, and what it costs less than that."""
    at = (np.arange(len(own)), own)
    present = price[at]
    price[at] = np.inf
    return price.argmin(axis=1), present - price.min(axis=1)


def _many_clusters(draws: LabelDraws, max_clusters: int) -> bool:
    """Whether a row has so few fellows in the draws, or a table so many cells, that it pays to do without tables."""
    s, r = len(draws.weights), len(draws.cluster_weights)
    fellows = float((draws.cluster_sizes.astype(float) ** 2).sum()) / (s * draws.n_rows)
    width = min(max_clusters, r / s)
    return width > DEAR * fellows or width * r > MOST_COUNTS
