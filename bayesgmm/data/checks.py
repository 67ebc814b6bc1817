"""What fitting and predicting ask of the rows, and of the row weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.data.cells import first_where
from bayesgmm.data.moments import RowMoments
from bayesgmm.data.rows import Data, default_names

DEPENDENT = (
    1e-14  # least eigenvalue of the features' correlations over the largest, where one says nothing new
)
WEIGHTS = 1e-12, 1e12  # between which the largest and the sum of the weights are those of rows
EXTENTS = 1e-145, 1e150  # between which a range's square, and parts of it, are numbers of float64


def check_fit(
    data: Data, n_components: int, sample_weight: Any = None, moments: RowMoments | None = None
) -> None:
    """Raise ``ValueError`` for rows to which ``n_components`` components cannot be fitted.

    Wanted: at least as many rows as components, two different rows, no constant feature, and no feature whose variance
    float64 cannot hold. Rows of weight zero do not count. ``moments`` are those of the rows, where they are known.
    """
    weight = check_sample_weight(sample_weight, data.n_rows)
    n_counted = int(np.count_nonzero(weight > 0))
    counted = "rows" if n_counted == data.n_rows else "rows of positive weight"
    if n_counted < n_components:
        raise ValueError(
            f"Expected at least as many {counted} as components; got {n_counted} for {n_components} components. "
            "Ask for fewer components, or bring more rows."
        )
    moments = moments or RowMoments.of(data.rows, weight)
    low = moments.low
    with np.errstate(over="ignore"):
        extent = moments.high - low
    if not extent.any():
        got = "a single row" if n_counted == 1 else f"{n_counted} identical rows"
        raise ValueError(
            f"Expected at least two different {counted}; got {got}: they say nothing of a spread."
        )
    constant = [n for n, width in zip(data.feature_names, extent, strict=True) if width == 0]
    if constant:
        value = low[data.feature_names.index(constant[0])]
        others = f" (so are {', '.join(map(repr, constant[1:6]))})" if constant[1:] else ""
        raise ValueError(
            f"x is constant in column {constant[0]!r}, always {value:g}{others}: no mixture has a density there. "
            f"Leave it out: columns={[n for n in data.feature_names if n not in constant][:12]!r}."
        )
    held = (extent > EXTENTS[0]) & (extent < EXTENTS[1])
    if not held.all():
        column = first_where(~held)
        fault = "vanishes in" if extent[column] < 1 else "overflows"
        raise ValueError(
            f"The square of the range of column {data.feature_names[column]!r}, {extent[column]:.3g}, {fault} float64, "
            "and so would its variance. Rescale it first."
        )


def check_independent(data: Data, moments: RowMoments, sample_weight: Float64[np.ndarray, " N"]) -> None:
    """Raise ``ValueError`` where one feature is a linear combination of others, to rounding.

    A covariance that ties features together then has no inverse, and the likelihood no bound.
    """
    if (
        np.count_nonzero(sample_weight) <= data.n_features
    ):  # so few rows lie in a plane whatever the features are
        return
    values, vectors = np.linalg.eigh(moments.scaled(moments.deviations))
    if values[0] > DEPENDENT * values[-1]:
        return
    together = [n for n, v in zip(data.feature_names, vectors[:, 0], strict=True) if abs(v) > 1e-6]
    raise ValueError(
        f"Columns {', '.join(map(repr, together[:8]))} depend on each other linearly, to rounding: no mixture with "
        "covariances between features has a density there. Leave one of them out, or choose covariance_type='diag'; "
        "if a few rows lie so far from the others that these look like one point, leave those rows out."
    )


def check_width(data: Data, feature_names: Sequence[str]) -> None:
    """Raise ``ValueError`` unless the rows have the features, in number, name and order, that the fit had.

    Names are compared only where both sides brought their own.
    """
    expected = tuple(feature_names)
    missing = [n for n in expected if n not in data.feature_names]
    unknown = [n for n in data.feature_names if n not in expected]
    if data.n_features != len(expected):
        told = ""
        if data.is_named and expected != default_names(len(expected)):
            told += f" Missing: {_listed(missing)}." if missing else ""
            told += f" Not in the fit: {_listed(unknown)}." if unknown else ""
        remedy = (
            "Choose them with bayesgmm.as_data(x, columns=[...])."
            if data.n_features > 1
            else "A single row must have two dimensions: numpy.reshape(x, (1, -1))."
        )
        raise ValueError(
            f"Expected the {len(expected)} feature{'s' * (len(expected) != 1)} of the fit ({_listed(expected)}); got "
            f"{data.n_features} ({_listed(data.feature_names)}).{told} {remedy}"
        )
    if not data.is_named or expected == default_names(len(expected)) or data.feature_names == expected:
        return
    if set(data.feature_names) == set(expected):
        raise ValueError(
            f"Expected the features in the order of the fit ({_listed(expected)}); got {_listed(data.feature_names)}. "
            f"Reorder them: columns={list(expected[:12])!r}."
        )
    raise ValueError(
        f"Expected the features of the fit; missing {_listed(missing)}, got {_listed(unknown)} instead. "
        "Rename the columns, or pass an array if they mean the same."
    )


def check_sample_weight(sample_weight: Any, n_rows: int) -> Float64[np.ndarray, " N"]:
    """Row weights as a float64 copy; for ``None`` ones, read-only, that take no memory.

    Raises ``TypeError`` for weights that are not real numbers, ``ValueError`` for a wrong length, negative or
    non-finite weights, weights that are all zero, and such as add up to no number of rows.
    """
    if sample_weight is None:
        return np.broadcast_to(1.0, n_rows)
    if isinstance(sample_weight, str):
        raise TypeError(
            f"Expected sample_weight to be one number per row; got the text {sample_weight!r}. If that is a column, "
            f"pass the column itself, x[{sample_weight!r}], and leave it out of x."
        )
    try:
        given = np.asarray(sample_weight)
        if given.dtype.kind == "c":
            raise TypeError("complex weights")
        weight = np.array(given, dtype=np.float64)
    except Exception as error:  # text, ragged lists, JAX tracers
        raise TypeError(
            f"Expected sample_weight to be one number per row; got {type(sample_weight).__name__}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if weight.shape != (n_rows,):
        raise ValueError(
            f"Expected sample_weight of shape ({n_rows},), one for each row; got {weight.shape}."
        )
    good = np.isfinite(weight) & (weight >= 0)
    if not good.all():
        row = first_where(~good)
        raise ValueError(
            f"Expected finite sample_weight of at least 0; got {weight[row]} at row {row} "
            f"({int((~good).sum())} such). Leave the row out, or give it weight 0."
        )
    if not weight.any():
        raise ValueError("Expected some positive sample_weight; got zeros only.")
    if not WEIGHTS[0] < weight.max() <= weight.sum() < WEIGHTS[1]:
        raise ValueError(
            f"Expected sample_weight that adds up to a number of rows; got {weight.sum():.3g}. Rescale it."
        )
    return weight


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
