"""Spikes in a sweep, and the features that make them: counts and rounded values, which no density describes."""

from __future__ import annotations

import itertools

import numpy as np

from bayesgmm.criteria.select import Selection
from bayesgmm.inference.em.result import EMResult

TIED = 0.5  # share of a component's rows at one value of a feature
FEW_ROWS = 10  # in a component, below which ties say nothing


def _would_win(selection: Selection) -> list[EMResult]:
    """Fits of lower BIC than the chosen one, set aside for their spikes."""
    chosen = selection.value(selection.order[0])
    return [fit for fit in selection.fits.values() if fit.degeneracies and fit.bic < chosen]


def tied_features(selection: Selection) -> list[str]:
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


def set_aside(selection: Selection) -> list[str]:
    """Whether fits with spikes would have won, in words."""
    counts = sorted({fit.n_components for fit in _would_win(selection)})
    if not counts:
        return []
    return [
        f"fits of {', '.join(map(str, counts))} components have a lower BIC and were set aside: they hold spikes or "
        "components of too few rows, as rows that are repeated or rounded make them."
    ]
