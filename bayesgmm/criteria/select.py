"""The information-criterion sweep: every number of components under every covariance structure, by EM."""

from __future__ import annotations

import dataclasses
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.covariances import STRUCTURES, Structure, get_structure
from bayesgmm.criteria.finished import Finished
from bayesgmm.criteria.information import CRITERIA
from bayesgmm.criteria.maximum import Maximum
from bayesgmm.criteria.shortfall import shortfalls
from bayesgmm.data import Data, as_data, check_fit, check_sample_weight
from bayesgmm.inference.em.em import EM, fit_many
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.fit import prepare
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.models import finite_mixture
from bayesgmm.random_state import as_seed
from bayesgmm.tables import text_table

if TYPE_CHECKING:
    import pandas

COLUMNS = [
    *("covariance_type", "n_components", "n_parameters", "log_likelihood"),
    *CRITERIA,
    *("n_steps", "status", "warning"),
]
BATCH = 1_000_000  # rows x starts x slots up to which compiling once is worth more than stopping early
SWEEP_MOVES = 2  # rounds of moves of each cell: with EM's four the search of many cells took twice as long

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
    criterion : its name in ``bayesgmm.criteria.information.CRITERIA``, such as "bic"
    """

    fits: dict[Cell, EMResult]
    failures: dict[Cell, str]
    criterion: str

    def value(self, cell: Cell) -> float:
        """The criterion of one cell."""
        return float(CRITERIA[self.criterion].formula(self.maxima[cell]))

    @cached_property
    def maxima(self) -> dict[Cell, Maximum]:
        """The fits as the criteria see them."""
        return {cell: Maximum(fit) for cell, fit in self.fits.items()}

    def _label(self) -> str:
        return CRITERIA[self.criterion].label

    @cached_property
    def order(self) -> list[Cell]:
        """Sound cells, best first; all cells where none is sound."""
        return sorted(self._sound or self.fits, key=self.value)

    @cached_property
    def _sound(self) -> list[Cell]:
        return [cell for cell, fit in self.fits.items() if not fit.degeneracies]

    @cached_property
    def _shortfalls(self) -> dict[Cell, str]:
        return shortfalls({cell: self.fits[cell] for cell in self._sound})

    @property
    def best(self) -> EMResult:
        """The sound fit with the smallest criterion."""
        return self.fits[self.order[0]]

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the choice must know, in words."""
        best, name = self.order[0], self._label()
        out = list(self.best.warnings)
        if not self._sound:
            out.append(f"every fit has a degenerate component, so {name} compares nothing here.")
        for cell in sorted(self.fits.keys() - set(self.order), key=self.value):
            if self.value(cell) < self.value(best):
                out.append(
                    f"{_in_words(cell)} has a lower {name} ({self.value(cell):.2f}) and was set aside: "
                    f"{' '.join(self.fits[cell].warnings)}"
                )
        out += [f"{_in_words(cell)}: {why}" for cell, why in self._shortfalls.items()]
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

        rows = [self._row(cell) for cell in self.fits]
        rows += [
            {"covariance_type": name, "n_components": k, "status": "FAILED", "warning": why}
            for (name, k), why in self.failures.items()
        ]
        return pandas.DataFrame(rows, columns=COLUMNS)

    def ranking(self, n: int = 5) -> pandas.DataFrame:
        """The best ``n`` sound fits, with the ``difference`` of each from the best."""
        import pandas

        best = self.value(self.order[0])
        rows = [{**self._row(c), "difference": self.value(c) - best} for c in self.order[:n]]
        return pandas.DataFrame(rows)

    def _row(self, cell: Cell) -> dict[str, Any]:
        fit = self.fits[cell]
        return {
            "covariance_type": cell[0],
            "n_components": cell[1],
            "n_parameters": fit.n_parameters,
            "log_likelihood": fit.log_likelihood,
            **{name: criterion.formula(self.maxima[cell]) for name, criterion in CRITERIA.items()},
            "n_steps": fit.n_steps,
            "status": fit.status.name,
            "warning": " ".join([*fit.warnings, *filter(None, [self._shortfalls.get(cell)])]),
        }

    def __repr__(self) -> str:
        label, labels = self._label(), [criterion.label for criterion in CRITERIA.values()]
        header = ["structure", "K", "parameters", "log-likelihood", *labels, f"{label} - best", "note"]
        ranked = list(self.ranking(10).itertuples())
        rows = [
            [
                row.covariance_type,
                *(str(row.n_components), str(row.n_parameters), f"{row.log_likelihood:.2f}"),
                *(f"{getattr(row, name):.{c.digits}f}" for name, c in CRITERIA.items()),
                f"{row.difference:.{CRITERIA[self.criterion].digits}f}",
                "warning" if row.warning else "",
            ]
            for row in ranked
        ]
        shown = f"the best {len(rows)} of {len(self.fits) + len(self.failures)} fits"
        aside = sorted(self.fits.keys() - set(self.order), key=lambda cell: (cell[1], cell[0]))
        notes = [f"warning: {w}" for w in self.warnings]
        if any(np.isinf(row.aicc) for row in ranked):
            notes.append("AICc is infinite for models with as many parameters as rows, less one, or more.")
        if aside:
            notes.append(
                f"set aside for a spike or a component of too few rows: {'; '.join(map(_in_words, aside))}"
            )
        head = f"{self.best.observed.name}: {shown} by {label} (smaller is better in all)"
        return "\n".join([head, text_table(header, rows), *notes])


def select(
    x: Any,
    *,
    n_components: Any = range(1, 10),
    covariance_type: Any = tuple(STRUCTURES),
    engine: Any = None,
    criterion: Any = "bic",
    sample_weight: Any = None,
    random_state: Any = None,
    on_cell: OnCell | None = None,
    progress: Any = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Selection:
    """Fit every number of components under every covariance structure, and rank the fits by a criterion.

    A cell is such a fit as ``fit(x, finite_mixture(K, covariance_type), engine)`` makes; where its search ends may
    differ with the cells beside it, which share its batches. A cell that fails is listed, and stops nothing.

    Parameters
    ----------
    x : rows (N, D), as for ``fit``
    n_components : numbers of components
    covariance_type : structures
    engine : EM settings; ``EM(moves=2)`` if None, which searches each cell for less long than a single fit does
    criterion : "bic" (Schwarz 1978), "aic" (Akaike 1974), "aicc" (Hurvich & Tsai 1989), "icl" by the entropy or
        "icl_map" by the hard classification (Biernacki, Celeux & Govaert 2000), or "nec" (Celeux & Soromenho 1996)
    sample_weight : (N,) weights of the rows
    random_state : int, numpy Generator, JAX key or None
    on_cell : called with (covariance_type, n_components, result or None if it failed) after each cell
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)
    checkpoint : a folder, made if it is not there, for a file a finished cell; a sweep that was killed or is made
        wider, called again with the same data, engine and random_state, fits only what is missing

    Raises
    ------
    ValueError, TypeError
        If an argument cannot be used, before anything is computed.
    FloatingPointError
        If every cell failed.
    """
    given = _distinct("covariance_type", covariance_type)
    names = [get_structure(name if isinstance(name, Structure) else str(name)).name for name in given]
    counts = _counts(n_components)
    engine = EM(moves=SWEEP_MOVES) if engine is None else engine
    if not isinstance(engine, EM):
        raise TypeError(
            f"Expected engine to be EM(...), since criteria need a maximum; got {type(engine).__name__}."
        )
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        raise ValueError(f"Expected criterion to be one of {', '.join(CRITERIA)}; got {criterion!r}.")
    data = as_data(x)
    weight = check_sample_weight(sample_weight, data.n_rows)
    check_fit(data, max(counts), weight)
    seed = as_seed(random_state)
    finished = Finished(checkpoint, data, weight, engine, seed)
    cells = [(name, k) for name in names for k in counts]
    done = {cell: fit for cell in cells if (fit := finished.load(*cell)) is not None}
    fits: dict[Cell, EMResult] = {}
    failures: dict[Cell, str] = {}
    with progress_reporter(progress) as report:
        for name in names:
            for k, result in _row_of_cells(data, name, counts, engine, weight, seed, done):
                if isinstance(result, EMResult):
                    fits[name, k] = result
                    if (name, k) not in done:
                        finished.keep(result)
                else:
                    failures[name, k] = str(result)
                if on_cell is not None:
                    on_cell(name, k, fits.get((name, k)))
                if report is not None:
                    report("EM", len(fits) + len(failures), len(cells))
    if not fits:
        raise FloatingPointError(f"Every cell failed; the first: {next(iter(failures.values()))}")
    return Selection({cell: fits[cell] for cell in cells if cell in fits}, failures, criterion)


def _row_of_cells(
    data: Data, name: str, counts: list[int], engine: EM, weight: Any, seed: int, done: dict[Cell, EMResult]
) -> Iterator[tuple[int, EMResult | Exception]]:
    """Pairs (K, result or exception) of one structure; what is not done already in one batch where data are small."""
    missing = [k for k in counts if (name, k) not in done]
    yield from ((k, done[name, k]) for k in counts if k not in missing)
    cells = data.n_rows * engine.n_init * len(missing) * max(missing, default=0)
    if missing and cells <= BATCH and engine.objective == "likelihood":
        try:
            largest = prepare(data, finite_mixture(max(missing), name), None, weight, seed)
            models = [finite_mixture(k, name).resolve(data.rows, weight) for k in missing]
            yield from zip(missing, fit_many(largest, models, engine), strict=True)
            return
        except (ArithmeticError, ValueError):
            pass  # one cell failed the batch: the loop below finds out which
    for k in missing:
        try:
            problem = prepare(data, finite_mixture(k, name), None, weight, seed)
            yield k, fit_many(problem, [problem.model], engine)[0]
        except (ArithmeticError, ValueError) as failure:
            yield k, failure


def _in_words(cell: Cell) -> str:
    return f"{cell[0]}, K = {cell[1]}"


def _counts(n_components: Any) -> list[int]:
    counts = []
    for k in _distinct("n_components", n_components):
        if isinstance(k, bool) or not hasattr(k, "__index__"):
            raise TypeError(f"Expected n_components to be integers; got {k!r}.")
        counts.append(operator.index(k))
    if min(counts) < 1:
        raise ValueError(f"Expected n_components of at least 1; got {min(counts)}.")
    return counts


def _distinct(name: str, given: Any) -> list[Any]:
    """One value, or several, as a list of different ones."""
    if getattr(given, "ndim", 1) == 0:
        given = np.asarray(given)[()]
    values = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if not values:
        raise ValueError(f"Expected at least one {name}; got none.")
    if any(isinstance(value, Iterable) and not isinstance(value, str) for value in values):
        raise TypeError(f"Expected {name} to be one or a list of them; got {given!r}.")
    if len(set(values)) < len(values):
        raise ValueError(f"Expected each {name} once; got {values!r}.")
    return values
