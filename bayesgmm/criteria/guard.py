"""Is the number of components a number of clusters? What speaks against it, in plain words.

A mixture of Gaussians that is not quite the truth takes more components the more rows there are, without end (Cai,
Campbell & Broderick 2021): each further one mends the density a little. Four things show it: clusters that take
several components, tails that one Gaussian a cluster does not have, tails that a posterior does not foretell, and a
number that grows with the rows. A fifth is plainer: a feature that counts, where the likelihood has no bound.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.criteria.fit_row import row_weights
from bayesgmm.criteria.merging import Merging, merge_components
from bayesgmm.criteria.select import Selection, select
from bayesgmm.criteria.spikes import set_aside, tied_features
from bayesgmm.criteria.tails import TailCheck, posterior_tail_check, tail_check
from bayesgmm.criteria.wide_components import wide_components
from bayesgmm.data import Data
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.random_state import as_seed
from bayesgmm.tables import text_table

if TYPE_CHECKING:
    import pandas

SHARES = (1 / 16, 1 / 4)  # of the rows, beside all of them
FEWEST = 50  # rows of a subsample
FEW_STARTS = 8  # of each fit to a subsample
TAIL_LEVEL = 0.01
GROWTH = 2  # components more than in the smallest subsample that count as growing


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MisspecificationGuard:
    """What speaks for and against reading a number of components as a number of clusters.

    Attributes
    ----------
    selection : the sweep of all rows by BIC
    growth : pairs (rows, the K that BIC chooses for so many of them, drawn at random), all rows last
    merging : of the chosen fit's components
    tails : of a fit of one component a merged cluster; None where there is no such fit without spikes
    predictive : of the components of a posterior, by its predictive distribution; None where none was given
    left_out : subsamples that could not be fitted, and why
    """

    selection: Selection
    growth: tuple[tuple[int, int], ...]
    merging: Merging
    tails: TailCheck | None
    predictive: TailCheck | None = None
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
        return (
            *self._ties,
            *set_aside(self.selection),
            *self._growing(),
            *self._heavy(),
            *self._not_foretold(),
        )

    @cached_property
    def _ties(self) -> list[str]:
        return tied_features(self.selection)

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

    def _not_foretold(self) -> list[str]:
        if self.predictive is None or self.predictive.p_value > TAIL_LEVEL:
            return []
        of = self.predictive.fit
        return [
            f"the {of.kind} posterior of {of.n_components} component{'s' * (of.n_components > 1)} does not foretell "
            f"the tails: kurtosis within components {np.median(self.predictive.kurtosis):.2f} times a Gaussian's, "
            f"against {np.median(self.predictive.drawn):.2f} in data sets drawn from it "
            f"(p = {self.predictive.p_value:.3f})."
        ]

    @property
    def verdict(self) -> str:
        """The finding, in words."""
        k, clusters = self.n_components, self.n_clusters
        merged = f"; merged by overlap they make {clusters}" if k > 1 else ""
        found = f"BIC chooses {k} component{'s' * (k > 1)}{merged}"
        n_rows = self.growth[-1][0]
        if n_rows < FEWEST:
            why = "; see why it is not to be relied on" if self.warnings else ""
            return f"{n_rows} rows are too few to tell whether components are clusters. {found}{why}."
        if self._ties and len(self.warnings) == len(self._ties):
            return f"warning: values repeat, which no density describes, so that BIC may count them; see why. {found}."
        if self.warnings:
            safer = "" if k == clusters else ", which is the safer count"
            noun = f" cluster{'s' * (clusters > 1)}" if k > 1 else ""
            return (
                f"warning: do not read the number of components as a number of clusters. {found}{noun}{safer}; see "
                "why."
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
        tails = [
            f"kurtosis within {n} {noun}{'s' * (n > 1)}, of a Gaussian's: {np.median(check.kurtosis):.2f} "
            f"(p = {check.p_value:.2f}{by})"
            for check, noun, by in (
                (self.tails, "cluster", ", by the bootstrap"),
                (self.predictive, "component", ", by the posterior's predictions"),
            )
            if check is not None
            for n in (check.fit.n_components,)
        ]
        notes = [f"note: {words}" for words in self.left_out]
        return "\n".join([self.verdict, *(f"- {w}" for w in self.warnings), curve, *tails, *notes])


def misspecification_guard(
    x: Any,
    *,
    posterior: Any = None,
    n_components: Any = range(1, 10),
    covariance_type: Any = "full",
    engine: EM | None = None,
    random_state: Any = 0,
    n_draws: Any = 99,
    progress: Any = False,
) -> MisspecificationGuard:
    """Ask whether the components of a Gaussian mixture are clusters.

    Fits all rows, a quarter and a sixteenth of them (at least 50) for every number of components, chooses by BIC,
    merges the chosen components (Baudry et al. 2010) and compares the tails within the merged clusters with
    Gaussians' (Mardia 1970); of a posterior, which may be given too, it asks whether it foretells the tails within its
    components. A true mixture of Gaussians of very unequal width about one centre looks like a
    heavy-tailed cluster, and is reported as one: by rows alone the two cannot be told apart.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``; or a Selection by ``select``, whose sweep is used, and repeated on the subsamples
    posterior : of the same rows, by any engine but EM, to be checked too
    n_components, covariance_type, engine : of the sweep, as for ``select``; ``EM(n_init=8, moves=1)`` if None
    random_state : int, numpy Generator or JAX key
    n_draws : data sets drawn for each check of the tails, at least 99: fewer could warn of nothing
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    ValueError, TypeError
        As ``select`` does, and where rows are weighted or the posterior is of others.
    """
    _check(n_draws, posterior)
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
    if posterior is not None and not np.array_equal(posterior.observed.rows, best.observed.rows):
        raise ValueError("Expected a posterior of the same rows; this one saw others.")
    growth, left_out = _growth(whole, n_components, covariance_type, engine, seed, progress)
    merging = merge_components(best)
    tails = _tails(whole, count_clusters(merging), int(n_draws), seed)
    predictive = None
    if posterior is not None:
        predictive = posterior_tail_check(posterior, n_draws=int(n_draws), random_state=seed)
    return MisspecificationGuard(whole, growth, merging, tails, predictive, left_out)


def _check(n_draws: Any, posterior: Any) -> None:
    least = round(1 / TAIL_LEVEL) - 1
    if isinstance(n_draws, bool) or not isinstance(n_draws, int | np.integer) or n_draws < least:
        raise ValueError(
            f"Expected n_draws to be an integer of at least {least}, below which p cannot be {TAIL_LEVEL}; "
            f"got {n_draws!r}."
        )
    if posterior is None:
        return
    if not isinstance(posterior, Posterior):
        raise TypeError(f"Expected posterior to be one, with draws; got {type(posterior).__name__}.")
    if not np.all(row_weights(posterior) == 1):
        raise ValueError("Expected a posterior of rows without weights: drawn data sets have none.")


def _growth(
    whole: Selection, n_components: Any, covariance_type: Any, engine: EM, seed: int, progress: Any
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """The K that BIC chooses for subsamples and for all rows; and what could not be fitted, in words."""
    seen = whole.best.observed
    rows = np.asarray(seen.rows)
    order, points, left_out = np.random.default_rng(seed).permutation(len(rows)), [], []
    for n in dict.fromkeys(max(FEWEST, round(share * len(rows))) for share in SHARES):
        if n < len(rows):
            few = Data(rows[np.sort(order[:n])], seen.feature_names, f"{n} rows of {seen.name}")
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
