"""Plain text tables: what results print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

EMPTY = 0.01
MOST_FEATURES = 8  # whose columns still fit a wide screen


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned by their widest cell: the first to the left, the others to the right."""
    cells = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[j]) for row in cells) for j in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        return "  ".join(
            [first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()

    return "\n".join([line(cells[0]), "  ".join("-" * w for w in widths), *map(line, cells[1:])])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as Markdown."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def number(value: float, digits: int = 4, least: int = 0) -> str:
    """A number to so many significant digits, or decimals if that is more, without an exponent if it can be helped."""
    if value is None or not np.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        decimals = max(least, _decimals(abs(value), digits) if value else 0)
        return f"{value:.{min(decimals, 6)}f}"
    return f"{value:.{digits - 1}e}"


def _decimals(scale: float, digits: int) -> int:
    """Decimals that show a positive number to so many significant digits."""
    return max(0, digits - 1 - int(np.floor(np.log10(scale))))


def component_table(
    result: Any, weight_sd: Any = None, mean_sd: Any = None, sd_sd: Any = None, empty: Any = None
) -> str:
    """Weight, means and standard deviations of every component of a fit.

    Of many features those whose means differ most between the components, in units of their spread, and a line that
    says so.

    Parameters
    ----------
    weight_sd, mean_sd, sd_sd : (K,), (K, D) and (K, D) posterior standard deviations or standard errors of the
        weights, means and standard deviations, printed in brackets if given
    empty : (K,) share of the draws in which a component holds no rows, and is the prior's; a column where any is
        EMPTY or more
    """
    k, d = result.means.shape
    sds = np.sqrt(result.model.structure.variances(result.covariances, k, d))
    weights = with_error(result.weights, weight_sd)
    means = np.reshape(with_error(result.means.ravel(), mean_sd, sds.ravel()), (k, d))
    deviations = np.reshape(with_error(sds.ravel(), sd_sd), (k, d))
    more = {"empty in": [f"{e:.0%}" for e in empty]} if empty is not None and np.max(empty) >= EMPTY else {}
    shown = telling_features(result.means, sds)
    return table_of_components(result.observed.feature_names, shown, weights, means, deviations, more)


def table_of_components(
    feature_names: Sequence[str], shown: Any, weights: Any, means: Any, deviations: Any, more: Any = None
) -> str:
    """Texts of weights (K,), means (K, D) and standard deviations (K, D) as a table, for the features ``shown``.

    ``more`` are columns to add, by their names.
    """
    more, d = more or {}, len(feature_names)
    names = [f"{what} {feature_names[j]}" for what in ("mean", "sd") for j in shown]
    rows = [
        [str(k), weight, *means[k, shown], *deviations[k, shown], *(column[k] for column in more.values())]
        for k, weight in enumerate(weights)
    ]
    rest = f"\n({len(shown)} of {d} features, those whose means differ most; all of them in .means and .covariances)"
    return text_table(["component", "weight", *names, *more], rows) + rest * (len(shown) < d)


def telling_features(means: Any, sds: Any) -> NDArray[np.intp]:
    """Indices (at most MOST_FEATURES) of the features in which components lie farthest apart, in increasing order.

    Apart is the range of the means (K, D) in units of the average of the standard deviations ``sds`` (K, D).
    """
    spread = np.mean(sds, axis=0)
    apart = np.ptp(means, axis=0) / np.where(spread > 0, spread, np.inf)
    return np.sort(np.argsort(-apart, kind="stable")[:MOST_FEATURES])


def with_error(values: Any, errors: Any = None, scales: Any = None) -> list[str]:
    """Numbers as text; if errors are given, each in brackets to two digits, the number to its last one.

    Without errors numbers have four digits, and decimals enough for three of ``scales``, where these are given.
    """
    if errors is not None:
        return [_with_error(v, e) for v, e in zip(values, np.ravel(errors), strict=True)]
    if scales is None:
        return [number(v) for v in values]
    least = [_decimals(s, 3) if np.isfinite(s) and s > 0 else 0 for s in scales]
    return [number(v, least=decimals) for v, decimals in zip(values, least, strict=True)]


def _with_error(value: float, error: float) -> str:
    if np.isfinite(value) and abs(value) < 1e7 and 1e-7 < error < 1e7:
        decimals = _decimals(error, 2)
        return f"{value:.{decimals}f} ({error:.{decimals}f})"
    return f"{number(value)} ({number(error, 2)})"
