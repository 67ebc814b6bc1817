"""Fits side by side: tables to print, to write and to compute with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.criteria.quantities import QUANTITIES
from bayesgmm.tables import markdown_table, number, text_table

if TYPE_CHECKING:
    import pandas

SPARE = 0.01  # weight below which, in every fit, a component is not printed or drawn
MOST_PARAMETERS = 40  # rows of the printed table of parameters

Cells = tuple[list[str], list[list[str]]]
"""A header and rows of text."""


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """Fits of one data set side by side.

    Attributes
    ----------
    table : pandas DataFrame, a row a fit; empty where a quantity does not exist for it
    parameters : pandas DataFrame: weights, means and standard deviations of matched components, EM's estimate beside
        the posterior mean and its equal-tailed 94 % interval
    agreements : pandas DataFrame, fits by fits: adjusted Rand index of their partitions by largest membership
    notes : what each column means, which direction is better, and what must not be compared
    data_name : of the rows
    """

    table: pandas.DataFrame
    parameters: pandas.DataFrame
    agreements: pandas.DataFrame
    notes: tuple[str, ...]
    data_name: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every fit's warnings, with its name."""
        return self._said("warnings")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the fits' engines had to say, with their names."""
        return self._said("remarks")

    def _said(self, column: str) -> tuple[str, ...]:
        return tuple(f"{name}: {words}" for name, words in self.table[column].items() if words)

    @property
    def names(self) -> list[str]:
        """The fits' names."""
        return [str(name) for name in self.table.index]

    @property
    def present(self) -> list[int]:
        """Components that hold at least a hundredth in some fit; the others are spare slots."""
        weights = self.parameters.loc["weight"].drop(columns=["3 %", "97 %"], level=1, errors="ignore")
        largest = weights.max(axis=1).groupby("component").max()
        return [int(j) for j, weight in largest.items() if weight >= SPARE]

    def cells(self) -> Cells:
        """The table as text: fits as columns, since quantities are many and fits few."""
        table = self.table
        rows = [
            ["engine", *table["kind"]],
            ["structure", *table["covariance_type"]],
            ["components", *(str(k) for k in table["n_components"])],
            *([quantity.title, *quantity.cells(table)] for quantity in QUANTITIES),
            ["converged", *("yes" if ok else "no" for ok in table["converged"])],
        ]
        return ["", *self.names], [row for row in rows if any(cell != "-" for cell in row[1:])]

    def parameter_cells(self) -> Cells:
        """Estimates, and posterior means with their intervals in brackets, as text; spare components left out."""
        kept = self.parameters[self.parameters.index.get_level_values("component").isin(self.present)]
        rows = [
            [f"{' '.join(filter(None, (parameter, feature)))}, component {j}"]
            + [_estimate(row[name].dropna().to_list()) for name in self.names]
            for (parameter, j, feature), row in kept.iterrows()
        ]
        return ["", *self.names], rows

    def agreement_cells(self) -> Cells:
        """The partitions against each other, as text."""
        rows = [[str(name), *(f"{v:.3f}" for v in row)] for name, row in self.agreements.iterrows()]
        return ["adjusted Rand index", *self.names], rows

    def _tables(self) -> list[Cells]:
        shown = [self.cells()]
        parameters = self.parameter_cells()
        if len(parameters[1]) <= MOST_PARAMETERS:
            shown.append(parameters)
        return [*shown, self.agreement_cells()] if len(self.names) > 2 else shown

    def __repr__(self) -> str:
        tables = "\n\n".join(text_table(*cells) for cells in self._tables())
        notes = [f"note: {text}" for text in (*self.notes, *self.remarks)]
        return "\n".join([tables, *notes, *(f"warning: {w}" for w in self.warnings)])

    def to_markdown(self, path: str | PathLike[str] | None = None) -> str:
        """The printed tables, notes and warnings as Markdown; written to a file if a path is given."""
        tables = "\n\n".join(markdown_table(*cells) for cells in self._tables())
        notes = [
            f"- {text}" for text in (*self.notes, *self.remarks, *(f"**warning** {w}" for w in self.warnings))
        ]
        return _written("\n".join([tables, "", *notes, ""]), path)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """The table as CSV, unrounded; written to a file if a path is given."""
        return _written(self.table.to_csv(lineterminator="\n"), path)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Tables and notes as JSON (null where there is nothing); written to a file if a path is given."""
        parameters = [
            {**dict(zip(self.parameters.index.names, key, strict=True)), "fits": _nested(row)}
            for key, row in zip(self.parameters.index, self.parameters.to_dict("records"), strict=True)
        ]
        content = {
            "data": self.data_name,
            "fits": _plain(self.table),
            "parameters": parameters,
            "agreements": _plain(self.agreements),
            "notes": list(self.notes),
        }
        return _written(json.dumps(content, indent=1, allow_nan=False) + "\n", path)


def _estimate(values: Sequence[float]) -> str:
    """A number, with its interval in brackets where it has one."""
    if not values:
        return "-"
    first, *ends = map(number, values)
    return f"{first} [{ends[0]}, {ends[1]}]" if ends else first


def _plain(table: pandas.DataFrame) -> dict[str, dict[str, Any]]:
    return {str(name): {c: _json(v) for c, v in row.items()} for name, row in table.to_dict("index").items()}


def _json(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _nested(row: Mapping[tuple[str, str], float]) -> dict[str, dict[str, float | None]]:
    out: dict[str, dict[str, float | None]] = {}
    for (name, what), value in row.items():
        out.setdefault(name, {})[what] = _json(float(value))
    return out


def _written(text: str, path: str | PathLike[str] | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
