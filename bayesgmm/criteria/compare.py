"""Fits of the same rows side by side: one table, with directions, standard errors and warnings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.criteria.model_weights import stacking_weights
from bayesgmm.criteria.parameters import parameter_table
from bayesgmm.criteria.predictive import elpd_difference, khat_in_words, loo
from bayesgmm.tables import markdown_table, text_table

if TYPE_CHECKING:
    import pandas


COLUMNS = [
    "kind",
    "covariance_type",
    "n_components",
    "log_likelihood",
    "log_likelihood_sd",
    "bic",
    "icl",
    "elpd_loo",
    "elpd_loo_se",
    "p_loo",
    "elpd_difference",
    "elpd_difference_se",
    "stacking_weight",
    "max_khat",
    "seconds",
    "agreement",
    "converged",
    "warnings",
]

# Column of the table: its name in the print, and how to read it.
DIRECTIONS = {
    "log_likelihood": (
        "log-likelihood",
        "larger is a closer fit, and always grows with the number of components: not a criterion",
    ),
    "bic": ("BIC", "smaller is better (-2 log L + p log n)"),
    "icl": ("ICL", "smaller is better (BIC plus twice the entropy of the classification)"),
    "elpd_loo": (
        "elpd_loo",
        "larger is better (expected log density of new rows, in nats, summed over the rows)",
    ),
    "p_loo": ("p_loo", "no direction: the effective number of parameters"),
    "elpd_difference": (
        "elpd - best",
        "0 is the best, negative is worse; below 4, or within two standard errors, is no difference",
    ),
    "stacking_weight": (
        "stacking weight",
        "larger is better: share in the mixture of posteriors that predicts best",
    ),
    "max_khat": ("largest k-hat", "smaller is better; above 0.7 elpd_loo cannot be trusted"),
    "agreement": (
        "partition against the first",
        "adjusted Rand index with the partition of the first fit: 1 the same, 0 as by chance",
    ),
}


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """Fits of one data set side by side.

    Attributes
    ----------
    table : pandas DataFrame, a row a fit; empty where a quantity does not exist for it
    parameters : pandas DataFrame: weights, means and standard deviations of matched components, EM's estimate beside
        the posterior mean and its equal-tailed 94 % interval
    notes : what each column means, which direction is better, and what must not be compared
    """

    table: pandas.DataFrame
    parameters: pandas.DataFrame
    notes: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every fit's warnings, with its name."""
        return tuple(f"{name}: {words}" for name, words in self.table["warnings"].items() if words)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """The table as text: fits as columns, since quantities are many and fits few."""
        rows = [
            ["engine", *self.table["kind"]],
            ["structure", *self.table["covariance_type"]],
            ["components", *(str(k) for k in self.table["n_components"])],
            ["log-likelihood", *_with_error(self.table, "log_likelihood", "log_likelihood_sd")],
            ["BIC (smaller is better)", *_plain(self.table["bic"], 2)],
            ["ICL (smaller is better)", *_plain(self.table["icl"], 2)],
            ["elpd_loo (larger is better)", *_with_error(self.table, "elpd_loo", "elpd_loo_se")],
            ["p_loo", *_plain(self.table["p_loo"], 1)],
            ["elpd - best", *_with_error(self.table, "elpd_difference", "elpd_difference_se")],
            ["stacking weight", *_plain(self.table["stacking_weight"], 2)],
            ["largest k-hat", *_plain(self.table["max_khat"], 2)],
            ["partition against the first", *_plain(self.table["agreement"], 3)],
            ["seconds", *_plain(self.table["seconds"], 1)],
            ["converged", *("yes" if ok else "no" for ok in self.table["converged"])],
        ]
        return ["", *map(str, self.table.index)], [
            row for row in rows if any(cell != "-" for cell in row[1:])
        ]

    def __repr__(self) -> str:
        warnings = [f"warning: {w}" for w in self.warnings]
        return "\n".join([text_table(*self.cells()), *(f"note: {note}" for note in self.notes), *warnings])

    def to_markdown(self, path: str | PathLike[str] | None = None) -> str:
        """The printed table, notes and warnings as Markdown; written to a file if a path is given."""
        notes = [f"- {text}" for text in (*self.notes, *(f"**warning** {w}" for w in self.warnings))]
        return _written("\n".join([markdown_table(*self.cells()), "", *notes, ""]), path)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """The table as CSV, unrounded; written to a file if a path is given."""
        return _written(self.table.to_csv(lineterminator="\n"), path)

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Table, parameters and notes as JSON (null where there is nothing); written to a file if a path is given."""
        parameters = [
            {**dict(zip(self.parameters.index.names, key, strict=True)), "fits": _nested(row)}
            for key, row in zip(self.parameters.index, self.parameters.to_dict("records"), strict=True)
        ]
        fits = {
            name: {c: _json(v) for c, v in row.items()} for name, row in self.table.to_dict("index").items()
        }
        content = {"fits": fits, "parameters": parameters, "notes": list(self.notes)}
        return _written(json.dumps(content, indent=1, allow_nan=False) + "\n", path)


def compare(results: Any) -> Comparison:
    """Compare fits of the same rows, by EM and by MCMC.

    Parameters
    ----------
    results : mapping of names, as they shall stand in the table, to fits (EMResult or Posterior)

    Raises
    ------
    ValueError
        If there is no fit, or two of them saw different rows.
    TypeError
        If a result is not a fit.
    """
    import pandas

    if not isinstance(results, Mapping):
        raise TypeError(
            f'Expected fits by name, such as {{"EM": em, "NUTS": posterior}}; got {type(results).__name__}.'
        )
    results = dict(results)
    _check(results)
    memberships = {name: result.predict_proba() for name, result in results.items()}
    posteriors: dict[str, Any] = {n: r for n, r in results.items() if not _is_maximum(r)}
    elpds = {name: loo(posterior) for name, posterior in posteriors.items()}
    rows = {
        name: {**(_of_maximum(r) if _is_maximum(r) else _of_posterior(r, elpds[name])), **_of_any(r)}
        for name, r in results.items()
    }
    first = next(iter(results))
    for name, row in rows.items():
        row["agreement"] = agreement(memberships[first], memberships[name])
    if len(elpds) > 1:
        best = max(elpds, key=lambda name: elpds[name].elpd)
        for name, weight in stacking_weights(elpds).items():
            difference, error = elpd_difference(elpds[name], elpds[best])
            rows[name].update(elpd_difference=difference, elpd_difference_se=error, stacking_weight=weight)
    table = pandas.DataFrame.from_dict(rows, orient="index").reindex(columns=COLUMNS)
    return Comparison(table, parameter_table(results, memberships), _notes(table, elpds))


def agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of the partitions by largest membership (N, K), (N, K')."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(a.argmax(axis=1), b.argmax(axis=1)))


def _is_maximum(result: Any) -> bool:
    return result.kind == "EM"


def _check(results: Mapping[str, Any]) -> None:
    if not results:
        raise ValueError("Expected at least one fit; got none.")
    for name, result in results.items():
        if not hasattr(result, "observed") or not hasattr(result, "draws"):
            raise TypeError(
                f"Expected fits such as bayesgmm.fit returns; got {type(result).__name__} for {name!r}."
            )
    first, *others = results
    for name in others:
        for what, same in (
            ("rows", np.array_equal(results[first].observed.rows, results[name].observed.rows)),
            ("row weights", np.array_equal(_row_weights(results[first]), _row_weights(results[name]))),
        ):
            if not same:
                raise ValueError(
                    f"Expected fits of the same {what}; {first!r} ({results[first].observed!r}) and {name!r} "
                    f"({results[name].observed!r}) differ, so no criterion compares them."
                )


def _row_weights(result: Any) -> NDArray[np.float64]:
    weight = getattr(result, "sample_weight", None)
    return np.ones(result.observed.n_rows) if weight is None else weight


def _of_any(result: Any) -> dict[str, Any]:
    return {
        "covariance_type": result.covariance_type,
        "n_components": result.n_components,
        "warnings": " ".join(result.warnings),
    }


def _of_maximum(fit: Any) -> dict[str, Any]:
    return {
        "kind": "EM" if fit.engine.objective == "likelihood" else "EM (posterior mode)",
        "log_likelihood": fit.log_likelihood,
        "bic": fit.bic,
        "icl": fit.icl,
        "seconds": fit.seconds,
        "converged": fit.status.ok,
    }


def _of_posterior(posterior: Any, elpd: Any) -> dict[str, Any]:
    totals = posterior.data["sample_stats"]["log_likelihood"].values.ravel()
    return {
        "kind": posterior.kind,
        "log_likelihood": totals.mean(),
        "log_likelihood_sd": totals.std(ddof=1),
        "elpd_loo": float(elpd.elpd),
        "elpd_loo_se": float(elpd.se),
        "p_loo": float(elpd.p),
        "max_khat": float(np.max(elpd.pareto_k)),
        "seconds": float(sum(posterior.seconds.values())),
        "converged": posterior.diagnostics().ok,
    }


def _notes(table: pandas.DataFrame, elpds: Mapping[str, Any]) -> tuple[str, ...]:
    shown = [c for c in DIRECTIONS if table[c].notna().any()]
    out = [f"{DIRECTIONS[column][0]}: {DIRECTIONS[column][1]}." for column in shown]
    out += [f"elpd_loo of {name}: {khat_in_words(elpd)}." for name, elpd in elpds.items()]
    if table["log_likelihood_sd"].notna().any() and table["log_likelihood_sd"].isna().any():
        out.append(
            "Do not compare log-likelihoods across engines: EM's is the maximum, a posterior's the mean over draws "
            "(+- their standard deviation). Under a weak prior that lies below the maximum by about half the number of "
            "parameters; by much more, the prior has a say (or the draws are elsewhere)."
        )
    if table["bic"].notna().any() and table["elpd_loo"].notna().any():
        out.append("Do not compare BIC with elpd_loo: they are on other scales and answer other questions.")
    if (table["kind"] == "EM (posterior mode)").any():
        out.append(
            "BIC and ICL at a posterior mode are slightly larger than at the maximum of the likelihood."
        )
    return tuple(out)


def _plain(values: Any, digits: int) -> list[str]:
    return ["-" if not np.isfinite(v) else f"{v:.{digits}f}" for v in values]


def _with_error(table: pandas.DataFrame, value: str, error: str) -> list[str]:
    pairs = zip(_plain(table[value], 2), _plain(table[error], 2), strict=True)
    return [a if b == "-" else f"{a} +- {b}" for a, b in pairs]


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
