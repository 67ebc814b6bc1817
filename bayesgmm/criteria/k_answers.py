"""What each method says of the number of components or of clusters: its best number, and those it does not rule out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bayesgmm.criteria.information import CRITERIA
from bayesgmm.criteria.likelihood_ratio import LEVEL
from bayesgmm.criteria.predictive import elpd_difference
from bayesgmm.criteria.select import Selection

COMPONENTS, CLUSTERS = "components", "clusters"
MASS = 0.9  # of a posterior, in the smallest set of numbers that is not ruled out
SMALL_ELPD = 4.0  # differences of elpd that are none (Sivula, Magnusson & Vehtari 2020)
MAXIMA = "maxima of the likelihood"


class Answer(NamedTuple):
    """What a method says: of what, its best number, those it does not rule out, and the reason in words.

    ``basis`` is what it shares with other methods, so that their agreement is no second opinion; empty for none.
    """

    method: str
    of: str
    best: int
    plausible: tuple[int, ...]
    words: str
    basis: str = ""


def criterion_labels() -> set[str]:
    """The names of the information criteria in print."""
    return {criterion.label for criterion in CRITERIA.values()}


def of_criterion(selection: Selection, name: str) -> Answer | None:
    """A criterion's answer, the best structure of each K; None where it is nowhere finite, as AICc with few rows."""
    criterion = CRITERIA[name]
    ranked = dataclasses.replace(selection, criterion=name)
    lowest: dict[int, float] = {}
    for cell in ranked.order:
        if np.isfinite(ranked.value(cell)):
            lowest.setdefault(cell[1], ranked.value(cell))
    if not lowest:
        return None
    best = min(lowest, key=lambda k: lowest[k])
    plausible = tuple(sorted(k for k, v in lowest.items() if v - lowest[best] <= criterion.close))
    others = [v - lowest[best] for k, v in lowest.items() if k != best]
    digits = criterion.digits
    aside = sorted({k for _, k in selection.fits} - {k for _, k in ranked.order})
    alone = f"K = {', '.join(map(str, aside))} set aside" if aside else "the only K tried"
    words = f"the next K is {worse(min(others), digits)}" if others else alone
    structure = next(structure for structure, k in ranked.order if k == best)
    return Answer(criterion.label, criterion.counts, best, plausible, f"{structure}; {words}", MAXIMA)


def worse(difference: float, digits: int) -> str:
    """By how much, to so many decimals; never by zero."""
    least = 10.0**-digits
    return f"{difference:.{digits}f} worse" if difference >= least else f"less than {least:.{digits}f} worse"


def of_tests(tests: Sequence[Any]) -> Answer:
    """The first K that is not rejected."""
    in_order = sorted(tests, key=lambda test: test.n_components)
    kept = [test for test in in_order if test.p_value > LEVEL]
    last = kept[0] if kept else in_order[-1]
    best = last.fit.n_components if kept else last.n_components
    words = f"{last.fit.n_components} against {last.n_components}: p = {last.p_value:.3f}"
    return Answer("bootstrap LRT", COMPONENTS, best, (best,), words, MAXIMA)


def of_elpds(elpds: Mapping[int, Any]) -> Answer:
    """The K that predicts rows left out best, and those that do not do worse."""
    best = max(elpds, key=lambda k: float(elpds[k].elpd))
    plausible = []
    for k, elpd in elpds.items():
        difference, error = elpd_difference(elpd, elpds[best])
        if -difference <= max(SMALL_ELPD, 2 * error):
            plausible.append(int(k))
    words = f"elpd {float(elpds[best].elpd):.1f} (standard error {float(elpds[best].se):.1f})"
    return Answer("held-out density", COMPONENTS, int(best), tuple(sorted(plausible)), words)


def tables_of(name: str, posterior: Any) -> dict[str, Any]:
    """Posterior and prior of K+, and of K where it is random, by name."""
    if not hasattr(posterior, "n_clusters_table"):
        raise TypeError(f"Expected posteriors with draws; got {type(posterior).__name__} for {name!r}.")
    out = {f"{name} (K+)": posterior.n_clusters_table}
    if posterior.model.weights.prior_n_components() is not None:
        out = {f"{name} (K)": posterior.n_components_table, **out}
    return out


def of_posterior(name: str, table: Any) -> Answer:
    """The most probable number, and the smallest set of 90 %."""
    share = table["probability"].sort_values(ascending=False)
    few = int(np.searchsorted(np.cumsum(share.to_numpy()), MASS - 1e-12)) + 1
    best = int(share.index[0])
    of = CLUSTERS if name.endswith("(K+)") else COMPONENTS
    words = f"probability {share.iloc[0]:.2f}, before the data {table['prior'].loc[best]:.2f}"
    return Answer(name, of, best, tuple(sorted(int(k) for k in share.index[:few])), words)
