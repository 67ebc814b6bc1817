"""What each kind of result says of itself in a comparison: a kind more is one function more of each sort."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.criteria.predictive import loo
from bayesgmm.inference.em.result import EMResult
from bayesgmm.posterior.guide import GuidePosterior
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.posterior.variational import VariationalPosterior

RESULTS = (EMResult, Posterior)


def fit_row(fit: Any) -> dict[str, Any]:
    """A fit's row of the table, as far as the fit alone determines it."""
    passes, unit = passes_of(fit)
    remarks = getattr(fit, "remarks", ())
    return {
        "covariance_type": fit.covariance_type,
        "n_components": fit.n_components,
        "passes": passes,
        "passes_of": unit,
        "remarks": " ".join(remarks),
        "warnings": " ".join(words for words in fit.warnings if words not in remarks),
        **own_row(fit),
    }


@singledispatch
def own_row(fit: Any) -> dict[str, Any]:
    """The columns that results of this kind have."""
    raise TypeError(f"Expected fits such as bayesgmm.fit returns; got {type(fit).__name__}.")


@own_row.register(EMResult)
def _of_maximum(fit: Any) -> dict[str, Any]:
    return {
        "kind": "EM" if fit.engine.objective == "likelihood" else "EM (posterior mode)",
        "log_likelihood": fit.log_likelihood,
        "bic": fit.bic,
        "icl": fit.icl,
        "seconds": fit.seconds,
        "converged": fit.status.ok,
    }


@own_row.register(Posterior)
def _of_draws(fit: Any) -> dict[str, Any]:
    totals = fit.data["sample_stats"]["log_likelihood"].values.ravel()
    return {
        "kind": fit.kind,
        "log_likelihood": totals.mean(),
        "log_likelihood_sd": totals.std(ddof=1),
        "seconds": float(sum(fit.seconds.values())),
        "converged": fit.diagnostics().ok,
    }


@own_row.register(VariationalPosterior)
def _of_an_optimum(fit: Any) -> dict[str, Any]:
    return {**_of_draws(fit), "converged": fit.status.ok}


@own_row.register(GuidePosterior)
def _of_a_guide(fit: Any) -> dict[str, Any]:
    return {**_of_draws(fit), "converged": fit.status.startswith(("converged", "at the Laplace"))}


@singledispatch
def passes_of(fit: Any) -> tuple[float, str]:
    """How often what is kept needed all rows, and in what."""
    raise TypeError(f"Expected fits such as bayesgmm.fit returns; got {type(fit).__name__}.")


@passes_of.register(EMResult)
@passes_of.register(VariationalPosterior)
def _steps(fit: Any) -> tuple[float, str]:
    return float(fit.n_steps), "steps"


@passes_of.register(GuidePosterior)
def _elbo_gradients(fit: Any) -> tuple[float, str]:
    seen = fit.engine.batch_size or fit.observed.n_rows
    share = min(1.0, seen / fit.observed.n_rows)
    return fit.n_steps * fit.engine.num_particles * share, "gradients"


@passes_of.register(Posterior)
def _of_chains(fit: Any) -> tuple[float, str]:
    stats = fit.data["sample_stats"]
    if "n_steps" in stats:
        return float(stats["n_steps"].sum() + stats["jump_gradients"].sum()), "gradients"
    return float(stats["lp"].size * fit.engine.thin), "sweeps"  # Gibbs has no trajectories


@singledispatch
def leave_one_out(fit: Any) -> Any:
    """The elpd of draws of the posterior; None for what is none: a maximum, or draws of an approximation.

    These are too narrow, so that each row seems to matter less than it does, and their elpd is too high.
    """
    return None


@leave_one_out.register(Posterior)
def _by_importance_sampling(fit: Any) -> Any:
    return loo(fit)


@leave_one_out.register(GuidePosterior)
@leave_one_out.register(VariationalPosterior)
def _of_an_approximation(fit: Any) -> Any:
    return None


@singledispatch
def row_weights(fit: Any) -> Float64[np.ndarray, " N"]:
    """The weights of the rows; samplers have none."""
    return np.ones(fit.observed.n_rows)


@row_weights.register(EMResult)
def _of_em(fit: Any) -> Float64[np.ndarray, " N"]:
    return fit.sample_weight


@row_weights.register(VariationalPosterior)
def _of_cavi(fit: Any) -> Float64[np.ndarray, " N"]:
    return fit.problem.sample_weight
