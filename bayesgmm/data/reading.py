"""What kind of thing was given, and its columns: arrays, data frames, files, bundled names."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bayesgmm.datasets import DESCRIPTIONS, load_dataset, read_csv, unknown_dataset

SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zip", ".zst")
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")


class Table(NamedTuple):
    """Columns as they came, before any look at their cells."""

    labels: Sequence[Hashable] | None
    """The columns' own names; ``None`` where there are none."""
    column: Callable[[int], np.ndarray]
    n_rows: int
    n_columns: int
    name: str
    without_missing: str
    """The call that leaves the rows with missing cells out, for error messages."""


def read(x: Any) -> Table:
    """Find out what ``x`` is; its cells are read later, column by column."""
    if isinstance(x, str | os.PathLike):
        return _from_path(x)
    if hasattr(x, "dims") and hasattr(x, "coords"):
        return _from_xarray(x)
    return _from_frame(x, "data") or _from_array(x)


def _from_path(x: str | os.PathLike) -> Table:
    path = Path(x).expanduser()
    if not path.is_file():
        if str(x) in DESCRIPTIONS:
            return _from_pandas(load_dataset(str(x)), str(x))
        if (
            isinstance(x, str)
            and path.suffix not in (*SEPARATORS, ".parquet", *COMPRESSIONS)
            and "/" not in x
        ):
            raise ValueError(f"There is no file {x!r}. {unknown_dataset(x)}")
        raise FileNotFoundError(f"There is no file {str(path)!r} (seen from {str(Path.cwd())!r}).")
    suffixes = [s.lower() for s in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] in COMPRESSIONS
    kind = (suffixes[-2:-1] if compressed else suffixes[-1:]) or [""]
    stem = path.name.removesuffix("".join(path.suffixes[-2:] if compressed else path.suffixes[-1:]))
    if kind[0] in SEPARATORS:
        return _from_pandas(_read_text(path, SEPARATORS[kind[0]]), stem)
    if kind[0] == ".parquet" and not compressed:
        return _from_pandas(_read_parquet(path), stem)
    raise ValueError(
        f"Expected a .csv, .csv.gz, .tsv or .parquet file; got {path.name!r}. Read it yourself and pass the data frame."
    )


def _read_text(path: Path, separator: str) -> Any:
    import pandas

    try:
        first = pandas.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
        header = [str(cell).strip() for cell in first.iloc[0]]
        headerless = any(map(_is_number, header)) and all(_is_number(c) or c in MISSING for c in header)
        if not headerless:
            _refuse_duplicates(header)
        header_row = None if headerless else 0
        return read_csv(path, sep=separator, header=header_row, skipinitialspace=True, low_memory=False)
    except (pandas.errors.EmptyDataError, pandas.errors.ParserError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path.name!r} could not be read as a table: {error}. Read it yourself and pass the frame."
        ) from error


def _read_parquet(path: Path) -> Any:
    import pandas

    try:
        return pandas.read_parquet(path)
    except ImportError as error:
        raise ImportError("Reading Parquet needs pyarrow: pip install 'bayesgmm[parquet]'.") from error
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise ValueError(f"{path.name!r} could not be read as Parquet: {error}.") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text not in MISSING


def _refuse_duplicates(names: Sequence[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1 and n})
    if twice:
        raise ValueError(
            f"Expected each column name once; got {', '.join(map(repr, twice))} twice or more. Rename them."
        )


def _from_pandas(frame: Any, name: str) -> Table:
    table = _from_frame(frame, name)
    assert table is not None
    return table


def _from_frame(x: Any, name: str) -> Table | None:
    """A pandas, polars or pyarrow frame or series, or whatever else narwhals knows; else ``None``."""
    import narwhals

    pandas_like = hasattr(x, "dropna")
    if pandas_like and hasattr(x, "columns"):
        _refuse_duplicates([str(label) for label in x.columns])
    try:
        frame = narwhals.from_native(x, allow_series=True)
    except TypeError:
        return None
    if isinstance(frame, narwhals.LazyFrame):
        raise TypeError(
            f"Expected rows in memory; got a lazy {type(x).__name__}. Collect it first: x.collect()."
        )
    if isinstance(frame, narwhals.Series):
        labels = None if frame.name in (None, "") else [frame.name]
        without_missing = "x.dropna()" if pandas_like else "x.drop_nulls().drop_nans()"
        return Table(labels, lambda _: frame.to_numpy(), len(frame), 1, name, without_missing)
    labels = list(frame.columns)
    numbered = labels == list(range(len(labels)))
    return Table(
        labels=None if numbered else labels,
        column=lambda j: frame.get_column(labels[j]).to_numpy(),
        n_rows=len(frame),
        n_columns=len(labels),
        name=name,
        without_missing="df.dropna()" if pandas_like else "df.drop_nulls().drop_nans()",
    )


def _from_xarray(x: Any) -> Table:
    if not hasattr(x, "values") or callable(x.values):
        raise TypeError(
            f"Expected one table; got an xarray {type(x).__name__}. Choose a variable of it, or use x.to_dataframe()."
        )
    table = _from_array(x.values)
    if x.ndim == 2 and x.dims[1] in x.coords:
        labels = [str(label) for label in x.coords[x.dims[1]].values]
        _refuse_duplicates(labels)
        table = table._replace(labels=labels)
    return table._replace(name=str(x.name) if x.name is not None else "data")


def _from_array(x: Any) -> Table:
    if hasattr(x, "toarray"):
        raise TypeError(f"Expected a dense array; got a sparse {type(x).__name__}. Convert it: x.toarray().")
    if isinstance(x, dict):
        raise TypeError("Expected a table; got a dict. Make a frame of it: pandas.DataFrame(x).")
    try:
        array = np.asarray(x)
        if isinstance(x, list | tuple) and array.dtype.kind in "US":  # one text made text of all: find it
            array = np.asarray(x, dtype=object)
    except Exception as error:  # JAX tracers and deleted buffers, ragged lists, tensors on another device
        raise TypeError(
            f"Expected a table of numbers; got {type(x).__name__}, which NumPy cannot read as one: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if isinstance(x, np.ma.MaskedArray) and x.mask.any():
        array = np.where(np.ma.getmaskarray(x), np.nan, x.data.astype(np.float64))
    if array.dtype.names:
        raise TypeError(
            "Expected a plain array; got a structured one. Convert it: "
            "numpy.lib.recfunctions.structured_to_unstructured(x)."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"Expected rows x columns; got {array.ndim} dimensions, shape {array.shape}. Reshape x to two dimensions."
            if array.ndim
            else f"Expected rows x columns; got a single {type(x).__name__}."
        )
    table = array[:, None] if array.ndim == 1 else array
    return Table(
        labels=None,
        column=lambda j: table[:, j],
        n_rows=table.shape[0],
        n_columns=table.shape[1],
        name="data",
        without_missing="x[~numpy.isnan(x).any(axis=1)]" if array.ndim == 2 else "x[~numpy.isnan(x)]",
    )
