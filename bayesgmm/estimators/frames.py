"""Answers as frames of the caller's own library: pandas stays pandas, with its index, polars stays polars."""

from __future__ import annotations

from typing import Any

import numpy as np


def frame_like(rows: Any, columns: dict[str, np.ndarray]) -> Any:
    """Columns as a frame of the library that ``rows`` came in; pandas for arrays.

    Parameters
    ----------
    rows : what was given; only its library and its index matter
    columns : (n,) arrays by name
    """
    import narwhals
    import pandas

    given = narwhals.from_native(rows, eager_only=True, pass_through=True)
    if not isinstance(given, narwhals.DataFrame) or given.implementation.is_pandas():
        index = rows.index if isinstance(given, narwhals.DataFrame) else None
        return pandas.DataFrame(columns, index=index)
    return narwhals.from_dict(columns, backend=given.implementation).to_native()


def row_columns(probability: np.ndarray, log_density: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of every row, by name: its component, how unsure that is, log density, and all memberships."""
    said = {
        "component": probability.argmax(axis=1),
        "uncertainty": 1.0 - probability.max(axis=1),
        "log_density": log_density,
    }
    return said | {f"p{k}": probability[:, k] for k in range(probability.shape[1])}


def component_columns(result: Any) -> dict[str, np.ndarray]:
    """Weight, means and standard deviations (K,) of the components, by name of the feature."""
    k, d = result.means.shape
    sds = np.sqrt(result.model.structure.variances(result.covariances, k, d))
    names = result.observed.feature_names
    told = {"weight": np.asarray(result.weights)}
    told |= {f"mean {name}": np.asarray(result.means)[:, j] for j, name in enumerate(names)}
    return told | {f"sd {name}": sds[:, j] for j, name in enumerate(names)}
