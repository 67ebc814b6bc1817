"""The information-criterion sweep: every number of components under every covariance structure, by EM."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bayesgmm.covariances import STRUCTURES, get_structure
from bayesgmm.data import Data, as_data, check_fit, check_sample_weight
from bayesgmm.inference.em.em import EM, fit_many
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.fit import prepare
from bayesgmm.models import finite_mixture
from bayesgmm.random_state import as_seed
from bayesgmm.tables import text_table

if TYPE_CHECKING:
    import pandas

CRITERIA = ("aic", "bic", "icl")
COLUMNS = [
    "covariance_type",
    "n_components",
    "n_parameters",
    "log_likelihood",
    "aic",
    "bic",
    "icl",
    "n_steps",
    "status",
    "warning",
]
BATCH = 1_000_000  # rows x starts x slots up to which compiling once is worth more than stopping early

Cell = tuple[str, int]
OnCell = Callable[[str, int, EMResult | None], None]


@dataclasses.dataclass(frozen=True, repr=False)
class Selection:
    """The fits of a sweep, and which of them a criterion prefers. Every criterion: smaller is better.

    A fit with a degenerate component (a spike, or too few rows) is shown, but never preferred to a sound one.

    Attributes
    ----------
    fits : the result of each cell (covariance_type, n_components) that could be fitted
    failures : what went wrong in the others, in words
    criterion : "aic", "bic" or "icl"
    """

    fits: dict[Cell, EMResult]
    failures: dict[Cell, str]
    criterion: str

    def value(self, cell: Cell) -> float:
        """The criterion of one cell."""
        return float(getattr(self.fits[cell], self.criterion))

    @cached_property
    def order(self) -> list[Cell]:
        """Sound cells, best first; all cells where none is sound."""
        return sorted(self._sound or self.fits, key=self.value)

    @cached_property
    def _sound(self) -> list[Cell]:
        return [cell for cell, fit in self.fits.items() if not fit.degeneracies]

    @property
    def best(self) -> EMResult:
        """The sound fit with the smallest criterion."""
        return self.fits[self.order[0]]

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the choice must know, in words."""
        best, name = self.order[0], self.criterion.upper()
        out = list(self.best.warnings)
        if not self._sound:
            out.append(f"every fit has a degenerate component, so {name} compares nothing here.")
        for cell in sorted(self.fits.keys() - set(self.order), key=self.value):
            if self.value(cell) < self.value(best):
                out.append(
                    f"{_in_words(cell)} has a lower {name} ({self.value(cell):.2f}) and was set aside: "
                    f"{' '.join(self.fits[cell].warnings)}"
                )
        out += [f"{_in_words(cell)} could not be fitted: {why}" for cell, why in self.failures.items()]
        if self.best.engine.objective == "posterior":
            out.append(f"{name} is taken at the posterior mode, not at the maximum of the likelihood.")
        most = max(k for _, k in self.fits)
        if best[1] == most > min(k for _, k in self.fits):
            out.append(f"the largest number of components tried, {most}, was chosen: try more.")
        return tuple(out)

    @cached_property
    def table(self) -> pandas.DataFrame:
        """One row a cell, failures included, in the order of the sweep."""
        import pandas

        rows = [_table_row(cell, fit) for cell, fit in self.fits.items()]
        rows += [
            {"covariance_type": name, "n_components": k, "status": "FAILED", "warning": why}
            for (name, k), why in self.failures.items()
        ]
        return pandas.DataFrame(rows, columns=COLUMNS)

    def ranking(self, n: int = 5) -> pandas.DataFrame:
        """The best ``n`` sound fits, with the ``difference`` of each from the best."""
        import pandas

        best = self.value(self.order[0])
        rows = [{**_table_row(c, self.fits[c]), "difference": self.value(c) - best} for c in self.order[:n]]
        return pandas.DataFrame(rows)

    def __repr__(self) -> str:
        name = self.criterion.upper()
        header = [
            "structure",
            "K",
            "parameters",
            "log-likelihood",
            "AIC",
            "BIC",
            "ICL",
            f"{name} - best",
            "note",
        ]
        rows = [
            [
                row.covariance_type,
                *(str(row.n_components), str(row.n_parameters)),
                *(f"{v:.2f}" for v in (row.log_likelihood, row.aic, row.bic, row.icl, row.difference)),
                "warning" if row.warning else "",
            ]
            for row in self.ranking(10).itertuples()
        ]
        shown = f"the best {len(rows)} of {len(self.fits) + len(self.failures)} fits"
        notes = [f"warning: {w}" for w in self.warnings]
        head = f"{self.best.observed.name}: {shown} by {name} (AIC, BIC, ICL: smaller is better)"
        return "\n".join([head, text_table(header, rows), *notes])


def select(
    x: Any,
    *,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_type: str | Iterable[str] = tuple(STRUCTURES),
    engine: EM | None = None,
    criterion: str = "bic",
    sample_weight: Any = None,
    random_state: Any = None,
    on_cell: OnCell | None = None,
) -> Selection:
    """Fit every number of components under every covariance structure, and rank the fits by a criterion.

    A cell is the same fit as ``fit(x, finite_mixture(K, covariance_type), engine)`` with the same ``random_state``,
    up to rounding. A cell that fails is listed, and stops nothing.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``
    n_components : numbers of components
    covariance_type : structures
    engine : EM settings; ``EM()`` if None
    criterion : "bic" (Schwarz 1978), "aic" (Akaike 1974) or "icl" (Biernacki, Celeux & Govaert 2000)
    sample_weight : (N,) weights of the rows
    random_state : int, numpy Generator, JAX key or None
    on_cell : called with (covariance_type, n_components, result or None if it failed) after each cell

    Raises
    ------
    ValueError, TypeError
        If an argument cannot be used, before anything is computed.
    FloatingPointError
        If every cell failed.
    """
    names = _distinct(
        "covariance_type", [covariance_type] if isinstance(covariance_type, str) else covariance_type
    )
    names = [get_structure(name).name for name in names]
    counts = _counts(n_components)
    engine = EM() if engine is None else engine
    if not isinstance(engine, EM):
        raise TypeError(
            f"Expected engine to be EM(...), since criteria need a maximum; got {type(engine).__name__}."
        )
    if criterion not in CRITERIA:
        raise ValueError(f"Expected criterion to be one of {', '.join(CRITERIA)}; got {criterion!r}.")
    data = as_data(x)
    weight = check_sample_weight(sample_weight, data.n_rows)
    check_fit(data, max(counts), weight)
    seed = as_seed(random_state)
    fits: dict[Cell, EMResult] = {}
    failures: dict[Cell, str] = {}
    for name in names:
        for k, result in _row_of_cells(data, name, counts, engine, weight, seed):
            if isinstance(result, EMResult):
                fits[name, k] = result
            else:
                failures[name, k] = str(result)
            if on_cell is not None:
                on_cell(name, k, fits.get((name, k)))
    if not fits:
        raise FloatingPointError(f"Every cell failed; the first: {next(iter(failures.values()))}")
    return Selection(fits, failures, criterion)


def _row_of_cells(data: Data, name: str, counts: list[int], engine: EM, weight, seed: int):
    """Pairs (K, result or exception) of one structure: one batch where data are small, else one by one."""

    def problem(k: int):
        return prepare(data, finite_mixture(k, name), None, weight, seed)

    cells = data.n_rows * engine.n_init * len(counts) * max(counts)
    if cells <= BATCH and engine.objective == "likelihood":
        largest = problem(max(counts))
        models = [finite_mixture(k, name).resolve(data.rows, weight) for k in counts]
        try:
            yield from zip(counts, fit_many(largest, models, engine), strict=True)
            return
        except (ArithmeticError, ValueError):
            pass  # one cell failed the batch: the loop below finds out which
    for k in counts:
        try:
            yield k, engine.run(problem(k))
        except (ArithmeticError, ValueError) as failure:
            yield k, failure


def _table_row(cell: Cell, fit: EMResult) -> dict[str, Any]:
    return {
        "covariance_type": cell[0],
        "n_components": cell[1],
        "n_parameters": fit.n_parameters,
        "log_likelihood": fit.log_likelihood,
        "aic": fit.aic,
        "bic": fit.bic,
        "icl": fit.icl,
        "n_steps": fit.n_steps,
        "status": fit.status.name,
        "warning": " ".join(fit.warnings),
    }


def _in_words(cell: Cell) -> str:
    return f"{cell[0]}, K = {cell[1]}"


def _counts(n_components: Any) -> list[int]:
    given = n_components if isinstance(n_components, Iterable) else [n_components]
    counts = []
    for k in _distinct("n_components", given):
        if isinstance(k, bool) or not hasattr(k, "__index__"):
            raise TypeError(f"Expected n_components to be integers; got {k!r}.")
        counts.append(operator.index(k))
    if min(counts) < 1:
        raise ValueError(f"Expected n_components of at least 1; got {min(counts)}.")
    return counts


def _distinct(name: str, values: Iterable[Any]) -> list[Any]:
    values = list(values)
    if not values:
        raise ValueError(f"Expected at least one {name}; got none.")
    if len(set(values)) < len(values):
        raise ValueError(f"Expected each {name} once; got {values!r}.")
    return values
