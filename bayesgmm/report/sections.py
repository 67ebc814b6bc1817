"""The report's tables: a header and rows of text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.criteria.information import CRITERIA
from bayesgmm.plots.membership import SURE
from bayesgmm.posterior.partition_words import cluster_cells
from bayesgmm.tables import number

MOST_DOUBTFUL = 10
MOST_FEATURES = 8  # of a row, in the table of doubtful rows
WORD = re.compile("[^\\W\\d_]{2}")  # two letters in a row
WORST = 8  # quantities shown before the fold


class Table(NamedTuple):
    """A table of text: a caption, a header, rows."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def columns_of_words(self) -> list[bool]:
        """Of every column whether most of its cells are words, which are read from the left, or numbers."""
        columns = ([row[i] for row in self.rows if row[i]] for i in range(len(self.header)))
        return [2 * sum(bool(WORD.search(cell)) for cell in column) > len(column) for column in columns]


def features(observed: Any) -> Table:
    """The data, feature by feature."""
    columns = observed.rows.T
    rows = [
        [name, *(number(v) for v in (c.min(), c.mean(), np.median(c), c.max(), c.std()))]
        for name, c in zip(observed.feature_names, columns, strict=True)
    ]
    return Table("The features", ["feature", "min", "mean", "median", "max", "sd"], rows)


def ranking(selection: Any, n: int = 6) -> Table:
    """The best models of the sweep."""
    name = CRITERIA[selection.criterion].label
    header = [
        "structure",
        "components",
        "parameters",
        "log-likelihood",
        "AIC",
        "BIC",
        "ICL",
        f"{name} − best",
        "note",
    ]
    rows = [
        [
            row.covariance_type,
            *(str(row.n_components), str(row.n_parameters)),
            *(f"{v:.2f}" for v in (row.log_likelihood, row.aic, row.bic, row.icl, row.difference)),
            "warning" if row.warning else "",
        ]
        for row in selection.ranking(n).itertuples()
    ]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    caption = f"The best {len(rows)} of {len(selection.fits)} models (AIC, BIC, ICL: smaller is better)"
    return Table(caption, header, rows)


def how_many(found: Any | None) -> Table | None:
    """What every method says of the number of components and of clusters."""
    return (
        None
        if found is None
        else Table("The number of components and of clusters, by method", *found.cells())
    )


def parameters(comparison: Any) -> Table:
    """Every parameter of matched components, EM's estimate beside the posterior's mean and interval."""
    table = comparison.parameters
    fits = list(dict.fromkeys(table.columns.get_level_values(0)))
    rows = [
        [_parameter(*key), *(_estimate(row[fit].dropna().to_list()) for fit in fits)]
        for key, row in table.iterrows()
    ]
    return Table("Components: estimates, with 94 % intervals in brackets", ["", *fits], rows)


def _parameter(name: str, component: Any, feature: str) -> str:
    """A parameter in words: "mean of waiting, component 0"."""
    return f"{name} of {feature}, component {component}" if feature else f"{name} of component {component}"


def _estimate(values: list[float]) -> str:
    if not values:
        return "–"
    return (
        number(values[0])
        if len(values) == 1
        else f"{number(values[0])} [{number(values[1])}, {number(values[2])}]"
    )


def doubtful_rows(result: Any, probability: NDArray[np.float64]) -> Table | None:
    """The rows with the least clear component, if any is in doubt."""
    most = probability.max(axis=1)
    worst = np.argsort(most, kind="stable")[:MOST_DOUBTFUL]
    worst = worst[most[worst] < SURE]
    if not worst.size:
        return None
    names = result.observed.feature_names[:MOST_FEATURES]
    rows = []
    for n in worst:
        first, second = np.argsort(-probability[n], kind="stable")[:2]
        values = [number(v) for v in result.observed.rows[n, : len(names)]]
        rows.append([str(n), *values, *(f"{k}: {probability[n, k]:.3f}" for k in (first, second))])
    caption = f"The {len(worst)} most doubtful rows, counted from 0"
    return Table(caption, ["row", *names, "likeliest", "next"], rows)


def partition(found: Any | None) -> Table | None:
    """The clusters of the partition of least expected loss."""
    if found is None:
        return None
    header, rows = cluster_cells(found)
    given = " given EM's parameters as they are" * (getattr(found.source, "kind", None) == "EM")
    caption = (
        f"The partition of least expected {found.loss.title}{given}: its clusters, with the interval of their sizes "
        "over the draws, and how well they hold together and apart"
    )
    return Table(caption, header, rows)


def diagnostics(table: Any, caption: str) -> tuple[Table, Table | None]:
    """The worst quantities, and the whole table where it is longer."""
    columns = ["mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean"]
    ordered = table.sort_values("r_hat", ascending=False, na_position="last", kind="stable")

    def cells(frame: Any) -> list[list[str]]:
        return [[str(name), *(_diagnostic(c, row[c]) for c in columns)] for name, row in frame.iterrows()]

    header = ["quantity", "mean", "sd", "R-hat", "ESS bulk", "ESS tail", "MCSE"]
    if len(table) <= WORST:
        return Table(caption, header, cells(ordered)), None
    return (
        Table(f"{caption}: the {WORST} with the largest R-hat", header, cells(ordered.head(WORST))),
        Table(f"{caption}: all {len(table)}", header, cells(table)),
    )


def _diagnostic(column: str, value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return (
        f"{value:.3f}" if column == "r_hat" else f"{value:.0f}" if column.startswith("ess") else number(value)
    )


def comparison(found: Any) -> Table:
    """The fits side by side, with directions."""
    header, rows = found.cells()
    return Table("The fits side by side", header, [[cell.replace("+-", "±") for cell in row] for row in rows])
