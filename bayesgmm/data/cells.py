"""One column's cells as float64, exactly or not at all."""

from __future__ import annotations

import decimal
import numbers
from typing import Any

import numpy as np
from jaxtyping import Float64

EXACT_INTEGERS = 2**53  # beyond it float64 skips integers


def to_float(values: Any, column: str) -> Float64[np.ndarray, " N"]:
    """The cells of one column as float64; missing ones (``None``, ``pandas.NA``) as NaN.

    Raises ``TypeError`` for cells that are not real numbers and ``ValueError`` for integers that float64 cannot hold;
    the message names the first such cell and its row, counted from 0.
    """
    kind = values.dtype.kind
    if kind in "fb":
        with np.errstate(over="ignore"):  # what a wider float overflows to is reported as infinite
            return values.astype(np.float64)
    if kind in "iu":
        return _from_integers(values, column)
    if kind in "OUST":
        return _from_objects(values, column)
    if kind in "mM":
        raise TypeError(
            f"x holds {'durations' if kind == 'm' else 'dates'} in column {column!r}; turn them into numbers first."
        )
    if kind == "c":
        raise TypeError(
            f"x holds complex numbers in column {column!r}; pass real and imaginary parts as two columns."
        )
    if values.dtype.type.__module__ == "ml_dtypes":  # bfloat16 and the like, from JAX
        return values.astype(np.float64)
    raise TypeError(f"x holds {values.dtype} in column {column!r}; expected real numbers.")


def first_where(bad: np.ndarray) -> int:
    """The position of the first true entry."""
    return int(np.argmax(bad))


def _from_integers(values: np.ndarray, column: str) -> np.ndarray:
    floats = values.astype(np.float64)
    large = np.flatnonzero(np.abs(floats) >= EXACT_INTEGERS)
    for row in large:
        if int(floats[row]) != int(values[row]):
            raise ValueError(
                f"x has the integer {values[row]} at row {row}, column {column!r}, which float64 cannot hold exactly. "
                "Is it an identifier? Leave it out with bayesgmm.as_data(x, columns=[...]), "
                "or subtract an offset first."
            )
    return floats


def _from_objects(values: np.ndarray, column: str) -> np.ndarray:
    floats = np.empty(len(values))
    for row, cell in enumerate(values):
        if cell is None or type(cell).__name__ == "NAType":
            floats[row] = np.nan
        elif isinstance(cell, numbers.Real | decimal.Decimal | np.bool_):
            floats[row] = float(cell)
        elif isinstance(cell, str | bytes):
            raise TypeError(_text(values, row, column))
        else:
            raise TypeError(
                f"x holds objects in column {column!r} (first {type(cell).__name__} at row {row}); "
                "expected real numbers."
            )
    return floats


def _text(values: np.ndarray, row: int, column: str) -> str:
    """The message for a column with text: the first that is no number, if there is one."""
    first = next((r for r in range(row, len(values)) if _is_text(values[r])), None)
    cell = values[row if first is None else first]
    shown = repr(cell.item() if isinstance(cell, np.generic) else cell)  # NumPy's own text shows its type
    where = (
        f"first {shown if len(shown) <= 40 else shown[:40] + '...'} at row {row if first is None else first}"
    )
    if first is None:
        return f"x holds numbers as text in column {column!r} ({where}). Convert it first, e.g. with .astype(float)."
    return f"x holds text in column {column!r} ({where})."


def _is_text(cell: Any) -> bool:
    if not isinstance(cell, str | bytes):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False
