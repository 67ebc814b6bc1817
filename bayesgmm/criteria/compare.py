"""Fits of the same rows set side by side: what each says of itself, and what only all together can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.criteria.comparison import Comparison
from bayesgmm.criteria.fit_row import RESULTS, fit_row, leave_one_out, row_weights
from bayesgmm.criteria.held_out import HeldOut, by_folds, held_out_columns, of_rows
from bayesgmm.criteria.model_weights import stacking_weights
from bayesgmm.criteria.parameters import parameter_table
from bayesgmm.criteria.predictive import elpd_difference, khat_in_words
from bayesgmm.criteria.quantities import COLUMNS, QUANTITIES
from bayesgmm.data import Data, as_data, check_width
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.random_state import as_seed

if TYPE_CHECKING:
    import pandas


def compare(
    results: Any,
    *,
    held_out: Any = None,
    folds: Any = None,
    random_state: Any = 0,
    progress: Any = False,
) -> Comparison:
    """Compare fits of the same rows: by EM, by variational inference, by MCMC.

    Posteriors by MCMC have elpd_loo from the draws they hold; EM has information criteria. What all have, by one and
    the same method, is the density of rows that they have not seen: give such rows, or let every fit be made anew on
    folds.

    Parameters
    ----------
    results : mapping of names, as they shall stand in the table, to fits (EMResult or Posterior)
    held_out : rows (M, D), as for ``fit``, that no fit has seen
    folds : number of folds: each fit's model and engine are fitted anew to all but one of them, in turn, under the
        prior that the fit has, without its start. As long as so many fits
    random_state : of the folds and their fits
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)

    Raises
    ------
    ValueError
        If there is no fit, two of them saw different rows, or both ``held_out`` and ``folds`` are given.
    TypeError
        If a result is not a fit.
    """
    if not isinstance(results, Mapping):
        raise TypeError(
            f'Expected fits by name, such as {{"EM": em, "NUTS": posterior}}; got {type(results).__name__}.'
        )
    fits = {str(name): fit for name, fit in results.items()}
    _check(fits)
    rows = _held_out_rows(fits, held_out, folds)
    with progress_reporter(progress) as tell:
        if folds is not None:
            unseen = by_folds(fits, folds, as_seed(random_state), tell)
        else:
            unseen = {} if rows is None else of_rows(fits, rows)
    return _comparison(fits, unseen, _how_held_out(fits, rows, folds))


def _comparison(fits: dict[str, Any], unseen: dict[str, HeldOut], how: list[str]) -> Comparison:
    import pandas

    memberships = {name: fit.predict_proba() for name, fit in fits.items()}
    agreements = agreement_table(memberships)
    elpds = {name: elpd for name, fit in fits.items() if (elpd := leave_one_out(fit)) is not None}
    table = {name: fit_row(fit) for name, fit in fits.items()}
    parts = [_of_elpds(elpds), held_out_columns(unseen) if unseen else {}]
    for name, row in table.items():
        row["agreement"] = agreements.loc[name].iloc[0]
        for part in parts:
            row.update(part.get(name, {}))
    frame = pandas.DataFrame.from_dict(table, orient="index").reindex(columns=COLUMNS)
    doubts = [
        f"held-out density of {name}: {words}" for name, one in unseen.items() for words in one.warnings
    ]
    return Comparison(
        frame,
        parameter_table(fits, memberships),
        agreements,
        (*_notes(frame, elpds), *how, *doubts),
        next(iter(fits.values())).observed.name,
    )


def agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of the partitions by largest membership (N, K), (N, K')."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(a.argmax(axis=1), b.argmax(axis=1)))


def agreement_table(memberships: Mapping[str, NDArray[np.float64]]) -> pandas.DataFrame:
    """:func:`agreement` of every two fits."""
    import pandas

    rows = {
        name: [1.0 if a is b else agreement(a, b) for b in memberships.values()]
        for name, a in memberships.items()
    }
    return pandas.DataFrame.from_dict(rows, orient="index", columns=list(memberships))


def _of_elpds(elpds: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The columns of leave-one-out; differences and weights where there are two posteriors or more."""
    out = {
        name: {
            "elpd_loo": float(elpd.elpd),
            "elpd_loo_se": float(elpd.se),
            "p_loo": float(elpd.p),
            "max_khat": float(np.max(elpd.pareto_k)),
        }
        for name, elpd in elpds.items()
    }
    if len(elpds) > 1:
        best = max(elpds, key=lambda name: elpds[name].elpd)
        for name, weight in stacking_weights(elpds).items():
            difference, error = elpd_difference(elpds[name], elpds[best])
            out[name].update(elpd_difference=difference, elpd_difference_se=error, stacking_weight=weight)
    return out


def _check(fits: Mapping[str, Any]) -> None:
    if not fits:
        raise ValueError("Expected at least one fit; got none.")
    for name, fit in fits.items():
        if not isinstance(fit, RESULTS):
            raise TypeError(
                f"Expected fits such as bayesgmm.fit returns; got {type(fit).__name__} for {name!r}."
            )
    first, *others = fits
    for name in others:
        for what, same in (
            ("rows", np.array_equal(fits[first].observed.rows, fits[name].observed.rows)),
            ("row weights", np.array_equal(row_weights(fits[first]), row_weights(fits[name]))),
        ):
            if not same:
                raise ValueError(
                    f"Expected fits of the same {what}; {first!r} ({fits[first].observed!r}) and {name!r} "
                    f"({fits[name].observed!r}) differ, so no criterion compares them."
                )


def _held_out_rows(fits: Mapping[str, Any], held_out: Any, folds: Any) -> Data | None:
    """The rows held out, checked before anything is computed."""
    if held_out is None:
        return None
    if folds is not None:
        raise ValueError("Expected held_out or folds; got both. Rows held out need no folds.")
    rows = as_data(held_out)
    check_width(rows, next(iter(fits.values())).observed.feature_names)
    return rows


def _how_held_out(fits: Mapping[str, Any], rows: Data | None, folds: Any) -> list[str]:
    if folds is not None:
        return [
            f"Held-out density by {folds} folds, the same for all: each fit's model and engine fitted anew to the "
            "rows of the other folds, under the prior that the fit has."
        ]
    if rows is None:
        return [
            "No held-out density: compare(..., folds=10) fits everything anew for it, compare(..., held_out=rows) "
            "scores rows that no fit has seen."
        ]
    seen = {row.tobytes() for row in np.asarray(next(iter(fits.values())).observed.rows)}
    again = sum(row.tobytes() in seen for row in np.asarray(rows.rows))
    doubt = f"; {again} of them are equal to rows that the fits have seen" if again else ""
    return [f"Held-out density of {rows.n_rows} rows held out{doubt}."]


def _notes(table: pandas.DataFrame, elpds: Mapping[str, Any]) -> tuple[str, ...]:
    shown = [quantity for quantity in QUANTITIES if table[quantity.column].notna().any()]
    out = [f"{quantity.label}: {quantity.words}." for quantity in shown]
    out += [f"elpd_loo of {name}: {khat_in_words(elpd)}." for name, elpd in elpds.items()]
    others = [name for name in table.index if name not in elpds]
    if elpds and others:
        out.append(
            f"elpd_loo is left out for {', '.join(others)}: it is of draws by MCMC, not of a maximum, nor of draws of "
            "an approximation, which are too narrow and would make it too high."
        )
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
