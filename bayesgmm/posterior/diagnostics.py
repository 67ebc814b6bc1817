"""Convergence, judged first on quantities that do not depend on labels, then on relabelled parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.posterior.few_rows import log_joint
from bayesgmm.posterior.multimodality import describe, mode_table
from bayesgmm.posterior.verdict import APART, in_short, objections

ANCHORS = 6


@dataclasses.dataclass(frozen=True, repr=False)
class Diagnostics:
    """Tables and a verdict.

    Attributes
    ----------
    invariants, parameters : pandas DataFrames, a row a quantity: mean, sd, eti bounds, r_hat, ess_bulk, ess_tail,
        mcse_mean, mcse_sd
    n_divergent : transitions that diverged after warm-up
    ebfmi : (chains,) energy Bayesian fraction of missing information
    n_deepest : transitions whose trajectory was the longest allowed
    label_switches : share of the draws of a finite mixture before which components that hold rows had changed places
    warnings : what is wrong, each with its remedy
    """

    invariants: Any
    parameters: Any
    n_divergent: int
    ebfmi: NDArray[np.float64]
    n_deepest: int
    label_switches: float
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.warnings

    @property
    def max_r_hat(self) -> float:
        """The worst R-hat of the label-invariant quantities."""
        return float(self.invariants["r_hat"].max())

    @property
    def verdict(self) -> str:
        """One paragraph in plain words."""
        facts = (
            f"label-invariant quantities: {in_short(self.invariants)} effective draws in bulk and tail; relabelled "
            f"parameters: {in_short(self.parameters)}"
        )
        if self.ebfmi.size:  # Gibbs has no transitions that could diverge
            facts += f"; {self.n_divergent} divergent transitions"
        if self.label_switches:
            facts += f"; labels switched before {self.label_switches:.1%} of the draws, and were matched"
        if self.ok:
            return f"The chains agree ({facts})."
        return f"Read with care ({facts}). " + " ".join(self.warnings)

    def __repr__(self) -> str:
        columns = ["mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean"]
        parts = [self.verdict]
        for title, table in (
            ("Label-invariant quantities", self.invariants),
            ("Relabelled parameters", self.parameters),
        ):
            parts += ["", title, _text(table[columns])]
        return "\n".join(parts)


@dataclasses.dataclass(frozen=True, repr=False)
class ApproximationDiagnostics(Diagnostics):
    """Tables of an approximation's draws. They are independent, so that R-hat says nothing of the approximation."""

    judgement: str = ""

    @property
    def verdict(self) -> str:
        """What is known of the approximation, in plain words."""
        return self.judgement


def of_approximation(
    draws: Diagnostics, warnings: tuple[str, ...], judgement: str
) -> ApproximationDiagnostics:
    """The tables of such draws, with a judgement that is not made from them."""
    tables = {field.name: getattr(draws, field.name) for field in dataclasses.fields(Diagnostics)}
    return ApproximationDiagnostics(**{**tables, "warnings": warnings}, judgement=judgement)


def diagnose(posterior: Any) -> Diagnostics:
    """Diagnostics of a posterior (see :class:`Diagnostics`)."""
    stats = posterior.data["sample_stats"]
    chains = stats["lp"].shape[0]
    quantities = invariant_quantities(posterior)
    invariants = summary(quantities)
    group = posterior.data["posterior"]
    parameters = summary({name: group[name] for name in ("weights", "means", "covariances")})
    parameters = parameters[np.isfinite(parameters["sd"]) & (parameters["sd"] > 0)]
    ebfmi, n_divergent, n_deepest = np.empty(0), 0, 0
    if "energy" in stats:  # Gibbs has no trajectories
        energy = stats["energy"].values
        ebfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)
        n_divergent = int(stats["diverging"].values.sum())
        tree = 2 ** getattr(posterior.engine, "max_tree_depth", 30) - 1
        deepest = getattr(posterior.engine, "max_steps", tree)
        n_deepest = int((stats["n_steps"].values >= deepest).sum())
    found = {
        "invariants": invariants,
        "parameters": parameters,
        "n_divergent": n_divergent,
        "ebfmi": ebfmi,
        "n_deepest": n_deepest,
        "label_switches": 0.0 if posterior.model.weights.overfits else label_switches(posterior),
    }
    places = ""
    if chains > 1 and found["invariants"]["r_hat"].max() > APART:
        places = describe(mode_table(posterior, quantities))
    said = objections(found, chains, stats["lp"].size, places, _other_samplers(posterior))
    return Diagnostics(**found, warnings=said)


def _other_samplers(posterior: Any) -> tuple[str, ...]:
    """Which samplers may do better, with no word of the one that was used."""
    moves = getattr(posterior.engine, "split_merge", None)
    offered = {
        "HMC()": posterior.kind != "HMC" and not posterior.model.weights.overfits,
        "Gibbs(split_merge=True)": moves is not True and _is_for_gibbs(posterior.model),
    }
    return tuple(name for name, possible in offered.items() if possible)


def _is_for_gibbs(model: Any) -> bool:
    try:
        model.components.check_gibbs()
    except (TypeError, ValueError):
        return False
    return True


def label_switches(posterior: Any) -> float:
    """Share of the draws before which a component that holds rows before and after had moved to another slot."""
    slots = posterior.data["clustering"]["relabelling"].values
    holds = posterior.data["clustering"]["drawn_sizes"].values > 0
    moved = (slots[:, 1:] != slots[:, :-1]) & holds[:, 1:] & holds[:, :-1]
    return float(moved.any(axis=-1).mean()) if moved.size else 0.0


def invariant_quantities(posterior: Any) -> dict[str, NDArray[np.float64]]:
    """Label-invariant quantities of every draw, (chains, draws) or (chains, draws, n).

    The total log-likelihood, the sorted weights, the number of occupied components, and at a few anchor rows the
    log density and whether pairs of them share a component.
    """
    chains, length = posterior.data["sample_stats"]["lp"].shape
    draws = posterior.draws
    anchors = anchor_rows(posterior)
    rows = posterior.standardisation.forward(posterior.observed.rows[anchors])
    joint = log_joint(draws, rows)
    density = np.logaddexp.reduce(joint, axis=1)
    responsibilities = np.exp(joint - density[:, None])
    together = np.einsum("ska,skb->sab", responsibilities, responsibilities)
    first, second = np.triu_indices(len(anchors), 1)
    # A pair that is never, or always, together is a constant but for rounding: its R-hat says nothing.
    flat = together[:, first, second]
    moving = (flat.max(axis=0) > 0.05) & (flat.min(axis=0) < 0.95)
    first, second = first[moving], second[moving]

    def by_chain(values: NDArray) -> NDArray:
        return values.reshape(chains, length, *values.shape[1:])

    out = {
        "log likelihood": posterior.data["sample_stats"]["log_likelihood"].values,
        "log density at row": by_chain(density - posterior.standardisation.log_jacobian),
    }
    if draws.n_components > 1:
        out["sorted weight"] = by_chain(-np.sort(-np.exp(draws.log_weights), axis=1))
        out["occupied components"] = (posterior.data["clustering"]["drawn_sizes"].values > 0).sum(
            axis=-1
        ) * 1.0
        out["rows together"] = by_chain(together[:, first, second])
    labels = {
        "log density at row": [str(a) for a in anchors],
        "rows together": [f"{anchors[i]} and {anchors[j]}" for i, j in zip(first, second, strict=True)],
    }
    return {
        _name(name, labels.get(name), i): column
        for name, values in out.items()
        for i, column in _columns(values)
    }


def _columns(values: NDArray):
    return [(None, values)] if values.ndim == 2 else [(i, values[..., i]) for i in range(values.shape[-1])]


def _name(name: str, labels: list[str] | None, i: int | None) -> str:
    return name if i is None else f"{name} {labels[i] if labels else i}"


def anchor_rows(posterior: Any) -> NDArray[np.intp]:
    """A few rows that tell clusters apart: the surest and the least sure of the EM fit, spread over components."""
    probability = posterior.start.predict_proba(posterior.observed)
    sure = probability.argmax(axis=0)
    doubtful = np.argsort(probability.max(axis=1), kind="stable")
    chosen = [*sure[: ANCHORS - 2], *doubtful[:ANCHORS]]
    return np.array(list(dict.fromkeys(int(i) for i in chosen))[:ANCHORS])


def summary(quantities: Mapping[str, Any]) -> Any:
    """ArviZ's summary as floats, a row a scalar; R-hat and ESS of a constant are NaN."""
    import arviz_base
    import arviz_stats
    import pandas as pd
    import xarray as xr

    arrays = {
        name: value if hasattr(value, "dims") else xr.DataArray(value, dims=("chain", "draw"))
        for name, value in quantities.items()
    }
    constant = {name: a for name, a in arrays.items() if float(a.std(("chain", "draw")).max()) == 0.0}
    varying = xr.Dataset({name: a for name, a in arrays.items() if name not in constant})
    tree = arviz_base.convert_to_datatree(varying)
    with np.errstate(invalid="ignore", divide="ignore"):  # chains that stand still: 0 / 0
        table = arviz_stats.summary(tree, round_to="none", ci_kind="eti", ci_prob=0.94).astype(float)
    fixed = {name: float(a.mean()) for name, a in constant.items() if a.ndim == 2}
    rows = pd.DataFrame(
        {"mean": fixed, "sd": dict.fromkeys(fixed, 0.0)}, index=list(fixed), columns=table.columns
    )
    return table if rows.empty else pd.concat([table, rows.astype(float)])


def _text(table: Any) -> str:
    from bayesgmm.tables import number, text_table

    rows = [
        [
            str(name),
            *(
                f"{row[c]:.3f}" if c == "r_hat" else f"{row[c]:.0f}" if "ess" in c else number(row[c])
                for c in table
            ),
        ]
        for name, row in table.iterrows()
    ]
    return text_table(["", *table.columns], rows)
