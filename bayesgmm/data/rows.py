"""``Data``, the rows every engine sees, and ``as_data``, the one door to it."""

from __future__ import annotations

import dataclasses
import difflib
import operator
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.data.cells import first_where, to_float
from bayesgmm.data.pieces import PIECE
from bayesgmm.data.reading import Table, read


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Finite float64 rows with the names of their features; made by ``as_data``.

    ``rows`` is a read-only, C-contiguous copy: nothing here changes the user's array, nor it this one. A float64
    array that is itself read-only and C-contiguous (``x.setflags(write=False)``) is kept as it is: no copy is made.

    Attributes
    ----------
    rows : (N, D)
    feature_names : of the D columns
    name : what reports call the data
    """

    rows: Float64[np.ndarray, "N D"]
    feature_names: tuple[str, ...]
    name: str = "data"

    @property
    def n_rows(self) -> int:
        """N."""
        return self.rows.shape[0]

    @property
    def n_features(self) -> int:
        """D."""
        return self.rows.shape[1]

    @property
    def is_named(self) -> bool:
        """Whether the feature names came with the data, rather than being x0, x1, ..."""
        return self.feature_names != default_names(self.n_features)

    def __repr__(self) -> str:
        names = self.feature_names
        shown = ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])}, ... {names[-1]}"
        plural = "" if self.n_features == 1 else "s"
        return f"Data({self.name!r}: {self.n_rows} rows x {self.n_features} feature{plural}: {shown})"


def default_names(n_features: int) -> tuple[str, ...]:
    """x0, x1, ...: the names of features that came without."""
    return tuple(f"x{j}" for j in range(n_features))


def as_data(x: Any, *, columns: Any = None, name: str | None = None) -> Data:
    """Anything that holds a table of numbers as checked float64 rows.

    ``x`` is an array or a list (one dimension: one column), a pandas, polars or pyarrow frame or series, an
    xarray ``DataArray``, the path of a ``.csv``, ``.csv.gz``, ``.tsv`` or ``.parquet`` file, the name of a bundled
    data set, or ``Data``. A text file whose first line holds only numbers has no header. ``columns`` chooses
    features, by name or by position; ``name`` is what reports call the data.

    Numbers are converted exactly: booleans to 0 and 1, integers if float64 holds them. Raises ``TypeError`` for cells
    that are not real numbers, ``ValueError`` for missing and infinite ones and for tables without rows or columns,
    ``FileNotFoundError`` for a path that leads nowhere; each message names the column, the row (from 0) and the remedy.

    >>> as_data("faithful")
    Data('faithful': 272 rows x 2 features: eruptions, waiting)
    >>> as_data([[1, 2], [3, 4]], columns=[1]).rows
    array([[2.],
           [4.]])
    """
    if isinstance(x, Data):
        return _from_data(x, columns, name)
    table = read(x)
    names = default_names(table.n_columns) if table.labels is None else tuple(map(str, table.labels))
    positions = _positions(columns, names, table.labels)
    if columns is None:
        _refuse_row_names(names)
    if not table.n_rows or not positions:
        raise ValueError(
            f"Expected at least one row and one column; got {table.n_rows} x {len(positions)} in x."
        )
    chosen = tuple(names[j] for j in positions)
    if columns is None and type(x) is np.ndarray and x.dtype == np.float64 and x.ndim == 2:
        rows = x if _can_be_shared(x) else np.array(x, order="C")
    else:
        rows = _converted(table, names, positions, columns)
    _refuse_not_finite(rows, chosen, table.without_missing)
    rows.setflags(write=False)
    return Data(rows, chosen, table.name if name is None else name)


def _converted(table: Table, names: Sequence[str], positions: list[int], columns: Any) -> np.ndarray:
    """Any table's columns as new float64 rows."""
    rows = np.empty((table.n_rows, len(positions)))
    for target, source in enumerate(positions):
        try:
            rows[:, target] = to_float(table.column(source), names[source])
        except TypeError as error:
            raise TypeError(f"{error}{_advise_columns(table, names, columns)}") from None
    return rows


def _can_be_shared(x: Any) -> bool:
    """Whether rows need no copy: nobody can write to them, and they lie as we want them."""
    owner: Any = x if x.flags.c_contiguous else object()
    while isinstance(owner, np.ndarray):  # a read-only view of an array that can be written to is no promise
        if owner.flags.writeable:
            return False
        owner = owner.base
    return owner is None


def _from_data(data: Data, columns: Any, name: str | None) -> Data:
    if columns is not None:
        positions = _positions(columns, data.feature_names, None)
        if not positions:
            raise ValueError("Expected at least one column; got columns=[].")
        rows = np.ascontiguousarray(data.rows[:, positions])
        rows.setflags(write=False)
        data = Data(rows, tuple(data.feature_names[j] for j in positions), data.name)
    return data if name is None else dataclasses.replace(data, name=name)


def _positions(columns: Any, names: Sequence[str], labels: Sequence[Hashable] | None) -> list[int]:
    if columns is None:
        return list(range(len(names)))
    chosen = [columns] if isinstance(columns, str | int) else list(columns)
    positions = [_position(column, names, labels) for column in chosen]
    for place, position in enumerate(positions):
        if position in positions[:place]:
            raise ValueError(f"Expected each column once; got {names[position]!r} twice in columns.")
    return positions


def _position(column: Any, names: Sequence[str], labels: Sequence[Hashable] | None) -> int:
    if isinstance(column, str):
        if column in names:
            return names.index(column)
        close = difflib.get_close_matches(column, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"Expected columns among {_listed(names)}; got {column!r}.{hint}")
    if isinstance(column, bool | np.bool_):
        raise TypeError("Expected column names or positions; got a mask. Pass numpy.flatnonzero(mask).")
    if labels is not None and column in labels:
        return labels.index(column)
    try:
        position = operator.index(column)
    except TypeError:
        raise TypeError(f"Expected columns by name or position; got {column!r}.") from None
    if not -len(names) <= position < len(names):
        raise ValueError(f"Expected column positions below {len(names)}; got {position}.")
    return position % len(names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")


def _advise_columns(table: Table, names: Sequence[str], columns: Any) -> str:
    """The remedy for a column that is not numeric: leave it out, if others are left."""
    if columns is not None:
        return " Leave it out of columns."
    numeric = []
    for j, column in enumerate(names):
        try:
            to_float(table.column(j), column)
        except (TypeError, ValueError):
            continue
        numeric.append(column if table.labels is not None else j)
    if not numeric:
        return ""
    listed = ", ".join(map(repr, numeric[:12])) + (", ..." if len(numeric) > 12 else "")
    return f" Choose the numeric columns: bayesgmm.as_data(x, columns=[{listed}])."


def _refuse_row_names(names: Sequence[str]) -> None:
    for j, column in enumerate(names):
        if column == "" or column.startswith("Unnamed: "):
            rest = [n for n in names if n != column]
            raise ValueError(
                f"x has a column without a name, number {j}: row names written along by R or pandas? "
                f"Choose the features: bayesgmm.as_data(x, columns=[{_listed(rest)}])."
            )


def _refuse_not_finite(rows: np.ndarray, names: Sequence[str], without_missing: str) -> None:
    if all(np.isfinite(rows[i : i + PIECE]).all() for i in range(0, len(rows), PIECE)):
        return
    finite = np.isfinite(rows)
    row, column = divmod(first_where(~finite), rows.shape[1])
    missing = bool(np.isnan(rows[row, column]))
    alike = np.isnan(rows) if missing else np.isinf(rows)
    n_cells, n_rows = int(alike.sum()), int(alike.any(axis=1).sum())
    count = "" if n_cells == 1 else f" ({n_cells} such cells in {n_rows} row{'s' * (n_rows > 1)})"
    remedy = (
        f"Drop or impute these rows first, e.g. {without_missing}."
        if missing
        else "Drop, clip or transform these cells first; log(0) is a common cause."
    )
    what = "a NaN (missing value)" if missing else f"the infinite value {rows[row, column]}"
    raise ValueError(f"x has {what} at row {row}, column {names[column]!r}{count}. {remedy}")
