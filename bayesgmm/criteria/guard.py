"""Is the number of components a number of clusters? What speaks against it, in plain words.

A mixture of Gaussians that is not quite the truth takes more components the more rows there are, without end (Cai,
Campbell & Broderick 2021): each further one mends the density a little. Three things show it: clusters that take
several components, tails that one Gaussian a cluster does not have, and a number that grows with the rows. A fourth is
plainer: a feature that counts, where the likelihood has no bound.
"""

from __future__ import annotations

import dataclasses
import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.criteria.merging import Merging, merge_components
from bayesgmm.criteria.select import Selection, select
from bayesgmm.criteria.tails import TailCheck, tail_check
from bayesgmm.criteria.wide_components import wide_components
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture
from bayesgmm.random_state import as_seed
from bayesgmm.tables import text_table

if TYPE_CHECKING:
    import pandas

SHARES = (1 / 16, 1 / 4)  # of the rows, beside all of them
FEWEST = 50  # rows of a subsample
FEW_STARTS = 8  # of each fit to a subsample
TAIL_LEVEL = 0.01
GROWTH = 2  # components more than in the smallest subsample that count as growing
TIED = 0.5  # share of a component's rows at one value of a feature
FEW_ROWS = 10  # in a component, below which ties say nothing


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MisspecificationGuard:
    """What speaks for and against reading a number of components as a number of clusters.

    Attributes
    ----------
    selection : the sweep of all rows by BIC
    growth : pairs (rows, the K that BIC chooses for so many of them, drawn at random), all rows last
    merging : of the chosen fit's components
    tails : of a fit of one component a merged cluster; None where there is no such fit without spikes
    left_out : subsamples that could not be fitted, and why
    """

    selection: Selection
    growth: tuple[tuple[int, int], ...]
    merging: Merging
    tails: TailCheck | None
    left_out: tuple[str, ...] = ()

    @property
    def n_components(self) -> int:
        """K, as BIC chooses."""
        return self.selection.best.n_components

    @property
    def n_clusters(self) -> int:
        """Clusters that the components make when those that overlap are merged, wide ones under others not counted."""
        return count_clusters(self.merging)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Why the components are not to be counted as clusters; empty where nothing speaks against it."""
        return (*self._ties, *_set_aside(self.selection), *self._growing(), *self._heavy())

    @cached_property
    def _ties(self) -> list[str]:
        return _tied(self.selection)

    def _growing(self) -> list[str]:
        (fewest, least), *_ = self.growth
        rows, most = self.growth[-1]
        if most - least < GROWTH or most <= self.n_clusters:
            return []
        return [
            f"BIC's K grows with the rows, from {least} for {fewest} to {most} for {rows}: more rows would bring more "
            "components, as happens where clusters are not Gaussian."
        ]

    def _heavy(self) -> list[str]:
        if self.tails is None or self.tails.p_value > TAIL_LEVEL:
            return []
        k = self.tails.fit.n_components
        return [
            f"the tails are heavier than those of {k} Gaussian cluster{'s' * (k > 1)}: kurtosis "
            f"{self.tails.kurtosis:.2f} times a Gaussian's, against at most {self.tails.drawn.max():.2f} in "
            f"{self.tails.drawn.size} data sets drawn from them (p = {self.tails.p_value:.2f}). Some components are "
            "there for the tails."
        ]

    @property
    def verdict(self) -> str:
        """The finding, in words."""
        k, clusters = self.n_components, self.n_clusters
        found = f"BIC chooses {k} component{'s' * (k > 1)}; merged by overlap they make {clusters}"
        if self._ties and len(self.warnings) == len(self._ties):
            return f"warning: values repeat, which no density describes, so that BIC may count them; see why. {found}."
        if self.warnings:
            safer = "" if k == clusters else ", which is the safer count"
            return (
                f"warning: do not read the number of components as a number of clusters. {found} "
                f"cluster{'s' * (clusters > 1)}{safer}; see why."
            )
        if k != clusters:
            return (
                f"no sign that the components are not Gaussian, but some of them overlap. {found}: as many groups "
                "can be told apart by row."
            )
        return f"no sign that the components are not Gaussian clusters. {found}."

    @cached_property
    def table(self) -> pandas.DataFrame:
        """The growth curve: rows, and the K that BIC chooses."""
        import pandas

        return pandas.DataFrame(self.growth, columns=["n_rows", "n_components"])

    def __repr__(self) -> str:
        curve = text_table(["rows", "BIC's K"], [[str(n), str(k)] for n, k in self.growth])
        tails = (
            []
            if self.tails is None
            else [
                f"kurtosis within {self.tails.fit.n_components} clusters, of a Gaussian's: {self.tails.kurtosis:.2f} "
                f"(p = {self.tails.p_value:.2f})"
            ]
        )
        notes = [f"note: {words}" for words in self.left_out]
        return "\n".join([self.verdict, *(f"- {w}" for w in self.warnings), curve, *tails, *notes])


def misspecification_guard(
    x: Any,
    *,
    n_components: Any = range(1, 10),
    covariance_type: Any = "full",
    engine: EM | None = None,
    random_state: Any = 0,
    n_draws: int = 99,
    progress: Any = False,
) -> MisspecificationGuard:
    """Ask whether the components of a Gaussian mixture are clusters.

    Fits all rows, a quarter and a sixteenth of them (at least 50) for every number of components, chooses by BIC,
    merges the chosen components (Baudry et al. 2010) and compares the tails within the merged clusters with
    Gaussians' (Mardia 1970). A true mixture of Gaussians of very unequal width about one centre looks like a
    heavy-tailed cluster, and is reported as one: by rows alone the two cannot be told apart.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``; or a Selection by ``select``, whose sweep is used, and repeated on the subsamples
    n_components, covariance_type, engine : of the sweep, as for ``select``; ``EM(n_init=8, moves=1)`` if None
    random_state : int, numpy Generator or JAX key
    n_draws : data sets drawn for the tails
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    ValueError, TypeError
        As ``select`` does, and where rows are weighted.
    """
    seed = as_seed(random_state)
    if isinstance(x, Selection):
        whole = dataclasses.replace(x, criterion="bic")
        own = whole.best.engine  # a subsample shows how K moves; it need not be searched as the rows were
        engine = dataclasses.replace(own, n_init=min(own.n_init, FEW_STARTS), moves=min(own.moves, 1))
        covariance_type = tuple(dict.fromkeys(name for name, _ in whole.fits))
        n_components = sorted({k for _, k in whole.fits})
    else:
        engine = EM(n_init=FEW_STARTS, moves=1) if engine is None else engine
        whole = _sweep(x, n_components, covariance_type, engine, seed, progress)
    best = whole.best
    if not np.all(best.sample_weight == 1):
        raise ValueError("Expected rows without weights: subsamples are drawn of them. Repeat rows instead.")
    growth, left_out = _growth(whole, n_components, covariance_type, engine, seed, progress)
    merging = merge_components(best)
    tails = _tails(whole, count_clusters(merging), n_draws, seed)
    return MisspecificationGuard(whole, growth, merging, tails, left_out)


def _growth(
    whole: Selection, n_components: Any, covariance_type: Any, engine: EM, seed: int, progress: Any
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """The K that BIC chooses for subsamples and for all rows; and what could not be fitted, in words."""
    rows = np.asarray(whole.best.observed.rows)
    order, points, left_out = np.random.default_rng(seed).permutation(len(rows)), [], []
    for n in dict.fromkeys(max(FEWEST, round(share * len(rows))) for share in SHARES):
        if n < len(rows):
            few = rows[np.sort(order[:n])]
            try:  # a feature that varies in all rows may be constant here, and rows may be too few for any K
                part = _sweep(few, _fewer(n_components, n), covariance_type, engine, seed, progress)
            except ValueError as error:
                left_out.append(f"a subsample of {n} rows could not be fitted: {error}")
            else:
                points.append((n, part.best.n_components))
    return (*points, (len(rows), whole.best.n_components)), tuple(left_out)


def count_clusters(merging: Merging) -> int:
    """Merged clusters, without those of wide components alone, which have no place of their own."""
    wide = set(wide_components(merging.fit))
    return max(1, sum(not wide.issuperset(own) for own in merging.clusters()))


def _fewer(n_components: Any, n_rows: int) -> list[int]:
    """The numbers of components that so many rows can have."""
    numbers = [n_components] if isinstance(n_components, int | np.integer) else list(n_components)
    return [k for k in numbers if k <= n_rows // 2] or [1]


def _sweep(
    x: Any, n_components: Any, covariance_type: Any, engine: EM, seed: int, progress: Any
) -> Selection:
    return select(
        x,
        n_components=n_components,
        covariance_type=covariance_type,
        engine=engine,
        random_state=seed,
        progress=progress,
    )


def _tails(selection: Selection, n_clusters: int, n_draws: int, seed: int) -> TailCheck | None:
    """The check of a fit of one component a cluster, in the chosen structure."""
    best = selection.best
    one_each = selection.fits.get((best.covariance_type, n_clusters))
    if one_each is None:
        model = finite_mixture(n_clusters, best.covariance_type)
        one_each = fit(best.observed, model, best.engine, random_state=seed)
    if one_each.degeneracies or one_each.log_posterior is not None:
        return None
    return tail_check(one_each, n_draws=n_draws, random_state=seed)


def _would_win(selection: Selection) -> list[EMResult]:
    """Fits of lower BIC than the chosen one, set aside for their spikes."""
    chosen = selection.value(selection.order[0])
    return [fit for fit in selection.fits.values() if fit.degeneracies and fit.bic < chosen]


def _tied(selection: Selection) -> list[str]:
    """Features of which one value holds most rows of a component: counts, which no density describes."""
    found: dict[str, str] = {}
    for em in (selection.best, *_would_win(selection)):
        rows, labels = np.asarray(em.observed.rows), em.predict()
        for k, (j, name) in itertools.product(range(em.n_components), enumerate(em.observed.feature_names)):
            values, counts = np.unique(rows[labels == k, j], return_counts=True)
            n, most = counts.sum(), counts.max(initial=0)
            if n >= FEW_ROWS and most >= TIED * n:
                found.setdefault(
                    name,
                    f"{most} of {n} rows in one of {em.n_components} components have the same {name}, "
                    f"{values[counts.argmax()]:g}: it counts or is rounded, and a density's likelihood has no bound "
                    "there. Spread it over its unit, x + uniform(-.5, .5) of the last digit, or model it apart.",
                )
    return list(found.values())


def _set_aside(selection: Selection) -> list[str]:
    """Whether fits with spikes would have won."""
    counts = sorted({fit.n_components for fit in _would_win(selection)})
    if not counts:
        return []
    return [
        f"fits of {', '.join(map(str, counts))} components have a lower BIC and were set aside: they hold spikes or "
        "components of too few rows, as rows that are repeated or rounded make them."
    ]
