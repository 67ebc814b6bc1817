"""Components merged into clusters: how many clusters there are where a cluster takes several Gaussians.

BIC counts the Gaussians that a density needs. A cluster that is not Gaussian takes several, which overlap: their rows
could belong to either. Merging, pair by pair, whatever takes away most of that doubt leaves the density as it is
and yields clusters (Baudry, Raftery, Celeux, Lo & Gottardo 2010).
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import NDArray

from bayesgmm.criteria.information import entropy
from bayesgmm.data import check_sample_weight
from bayesgmm.posterior.predict import MixturePredictor
from bayesgmm.tables import text_table

if TYPE_CHECKING:
    import pandas

# Nats a row of the smaller cluster: two equal normal clusters 2.5 standard deviations apart. Closer ones hardly show
# two modes (at 2 there is one), farther ones do.
OVERLAP = 0.5

Cluster = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Merging:
    """The hierarchy of clusters, from one a component to a single one.

    Attributes
    ----------
    levels : clusters, each the numbers of its components, at K, K - 1, ..., 1 clusters
    entropies : (K,) entropy of the classification at each level, in nats
    overlaps : (K - 1,) what each merge took away, in nats a row of the smaller of the two clusters merged
    merged_rows : (K - 1,) rows in the two clusters merged
    fit : what was merged, or None where responsibilities were given
    responsibilities : (N, K) of the components
    """

    levels: tuple[tuple[Cluster, ...], ...]
    entropies: Float64[np.ndarray, " K"]
    overlaps: Float64[np.ndarray, " M"]
    merged_rows: Float64[np.ndarray, " M"]
    fit: Any
    responsibilities: Float64[np.ndarray, "N K"]

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.levels)

    @cached_property
    def n_clusters(self) -> int:
        """Clusters once no merge takes away half a nat or more a row of the smaller cluster."""
        few = np.flatnonzero(self.overlaps < OVERLAP)
        return self.n_components - int(few[0] if few.size else len(self.overlaps))

    @cached_property
    def elbow(self) -> int | None:
        """Where two lines fit the entropy against the rows merged so far best (Baudry et al. 2010, section 4).

        None below four components, where two lines say nothing. It sees no elbow at K or 1 clusters, and takes
        a thin component that lies under several clusters for one more: :attr:`n_clusters` does not.
        """
        k = self.n_components
        if k < 4:
            return None
        x = np.concatenate([[0.0], np.cumsum(self.merged_rows)])
        loss = [
            _line_loss(x[: i + 1], self.entropies[: i + 1]) + _line_loss(x[i:], self.entropies[i:])
            for i in range(1, k - 1)
        ]
        return k - 1 - int(np.argmin(loss))

    def clusters(self, n_clusters: int | None = None) -> tuple[Cluster, ...]:
        """The components of each cluster, at a number of clusters (the suggested one if None)."""
        n = self.n_clusters if n_clusters is None else n_clusters
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= self.n_components:
            raise ValueError(
                f"Expected n_clusters to be an integer from 1 to {self.n_components}; got {n!r}."
            )
        return self.levels[self.n_components - int(n)]

    def predict_proba(self, x: Any = None, n_clusters: int | None = None) -> NDArray[np.float64]:
        """Probability (N, n_clusters) of each cluster for each row; of the fitted rows if ``x`` is None.

        Raises a ValueError for new rows where responsibilities were merged and no fit.
        """
        if x is not None and self.fit is None:
            raise ValueError("Expected no new rows: responsibilities were merged, which know no density.")
        r = self.responsibilities if x is None else self.fit.predict_proba(x)
        return np.stack([r[:, list(own)].sum(axis=1) for own in self.clusters(n_clusters)], axis=1)

    def labels(self, n_clusters: int | None = None) -> Int[np.ndarray, " N"]:
        """The most probable cluster of each fitted row."""
        return self.predict_proba(None, n_clusters).argmax(axis=1)

    @cached_property
    def table(self) -> pandas.DataFrame:
        """A row a level: clusters, entropy, and the overlap of the two that are merged next."""
        import pandas

        counts = np.arange(self.n_components, 0, -1)
        overlaps = np.append(self.overlaps, np.nan)
        return pandas.DataFrame({"n_clusters": counts, "entropy": self.entropies, "overlap": overlaps})

    def __repr__(self) -> str:
        header = ["clusters", "entropy", "overlap of the next two", "components"]
        rows = [
            [
                f"{len(level)}{' <-' if len(level) == self.n_clusters else ''}",
                f"{self.entropies[i]:.2f}",
                f"{self.overlaps[i]:.3f}" if i < len(self.overlaps) else "-",
                " ".join("+".join(map(str, own)) for own in level),
            ]
            for i, level in enumerate(self.levels)
        ]
        name = "" if self.fit is None else f" of {self.fit.observed.name}"
        head = (
            f"{self.n_components} component{'s' * (self.n_components > 1)}{name} make {self.n_clusters} "
            f"cluster{'s' * (self.n_clusters > 1)}: merged while the overlap, in nats a row of the smaller, is "
            f"{OVERLAP:g} or more"
        )
        elbow = (
            []
            if self.elbow is None
            else [f"elbow of the entropy (Baudry et al. 2010): {self.elbow} clusters"]
        )
        return "\n".join([head, text_table(header, rows), *elbow])


def merge_components(fit: Any, *, sample_weight: Any = None) -> Merging:
    """Merge components into clusters by the entropy of the classification (Baudry et al. 2010, section 3).

    Each step merges the two clusters whose union lowers the entropy most. The suggested number is reached when that
    takes away less than half a nat a row of the smaller cluster: two equal normal clusters stay apart from 2.5
    standard deviations on.

    Parameters
    ----------
    fit : by EM, or a posterior of a fixed number of components (its membership probabilities: what the parameters leave
        open is doubt too); or responsibilities (N, K), rows adding to 1
    sample_weight : (N,) row weights that go with responsibilities; a fit brings its own

    Raises
    ------
    TypeError, ValueError
        If it is neither, rows do not add to 1, or the fit has slots to spare, whose draws no one numbering fits.
    """
    predictor = isinstance(fit, MixturePredictor)
    if predictor and fit.model.weights.overfits:  # type: ignore[attr-defined]
        raise ValueError(
            "Expected a fit of a fixed number of components; this one has slots to spare. Its clusters are "
            "bayesgmm.partition(posterior)."
        )
    r = fit.predict_proba() if predictor else _checked(fit)
    if predictor and sample_weight is not None:
        raise ValueError("Expected no sample_weight beside a fit, which has its own.")
    given = getattr(fit, "sample_weight", None) if predictor else sample_weight
    weight = check_sample_weight(given, len(r))
    levels, entropies, overlaps, merged_rows = [tuple((j,) for j in range(r.shape[1]))], [], [], []
    current = r
    while True:
        entropies.append(entropy(current, weight))
        if current.shape[1] == 1:
            break
        (i, j), gain = _best_pair(current, weight)
        sizes = weight @ current[:, [i, j]]
        overlaps.append(gain / max(sizes.min(), np.finfo(float).tiny))
        merged_rows.append(sizes.sum())
        clusters = [list(own) for own in levels[-1]]
        clusters[i] = sorted(clusters[i] + clusters.pop(j))
        levels.append(tuple(map(tuple, clusters)))
        current = np.delete(current, j, axis=1)
        current[:, i] = r[:, clusters[i]].sum(axis=1)
    return Merging(
        tuple(levels),
        np.array(entropies),
        np.array(overlaps),
        np.array(merged_rows),
        fit if predictor else None,
        r,
    )


def _best_pair(r: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[tuple[int, int], float]:
    """The two columns whose sum has least entropy against theirs apart, and the difference in nats."""
    own = _minus_entropy(r, weight)
    gains = {
        (i, j): float(_minus_entropy((r[:, i] + r[:, j])[:, None], weight)[0] - own[i] - own[j])
        for i, j in itertools.combinations(range(r.shape[1]), 2)
    }
    pair = max(gains, key=lambda pair: gains[pair])
    return pair, gains[pair]


def _minus_entropy(r: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sum_n w r log r`` (K,) of columns."""
    return weight @ (r * np.log(np.where(r > 0, r, 1.0)))


def _line_loss(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Squared residuals of the least-squares line."""
    design = np.stack([np.ones_like(x), x / x.max()], axis=1)
    return float(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2))


def _checked(responsibilities: Any) -> Float64[np.ndarray, "N K"]:
    try:
        r = np.array(responsibilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"Expected a fit or responsibilities (N, K); got {type(responsibilities).__name__}."
        ) from error
    if r.ndim != 2 or not r.size:
        raise ValueError(f"Expected responsibilities of shape (N, K); got {r.shape}.")
    off = ~((r >= 0).all(axis=1) & (np.abs(r.sum(axis=1) - 1) < 1e-6))
    if off.any():
        raise ValueError(
            f"Expected every row of the responsibilities to be probabilities that add to 1; row {off.argmax()} "
            f"adds to {r[off.argmax()].sum():g}. Pass fit.predict_proba(), or the fit."
        )
    return r
