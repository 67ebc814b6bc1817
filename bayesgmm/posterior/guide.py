"""The posterior as a fitted guide sees it: its draws, the ELBO, and k-hat as the verdict on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.posterior.diagnostics import Diagnostics, of_approximation
from bayesgmm.posterior.posterior import Posterior


@dataclasses.dataclass(frozen=True, repr=False)
class GuidePosterior(Posterior):
    """Independent draws of a guide fitted by SVI: one chain of them in ``data``, relabelled.

    The group ``variational`` of ``data`` holds ``elbo_history`` and, as attributes, the figures below.
    """

    def _said(self, name: str) -> Any:
        return self.data["variational"].attrs[name]

    @property
    def elbo(self) -> float:
        """The evidence lower bound in nats, rows in the user's units: the mean of the draws' log weights."""
        return float(self._said("elbo"))

    @property
    def elbo_se(self) -> float:
        """Monte Carlo standard error of the ELBO."""
        return float(self._said("elbo_se"))

    @property
    def pareto_k(self) -> float:
        """k-hat of the importance weights (Yao et al. 2018): how far the guide is from the posterior."""
        return float(self._said("pareto_k"))

    @property
    def log_evidence(self) -> float:
        """Log of the mean importance weight: the evidence of the modes that the guide visits, in nats."""
        return float(self._said("log_evidence"))

    @property
    def history(self) -> NDArray[np.float64]:
        """The ELBO (n_steps,) by a few draws at each step, in the user's units."""
        return self.data["variational"]["elbo_history"].values

    @property
    def n_steps(self) -> int:
        """Steps of the optimiser."""
        return self.history.size

    @property
    def status(self) -> str:
        """How the fit ended, in words."""
        return str(self._said("status"))

    def diagnostics(self) -> Diagnostics:
        """How far to trust the guide: k-hat in words; and tables of its draws."""
        return of_approximation(self._diagnostics, self.remarks, str(self._said("verdict")))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        return self.remarks

    def __repr__(self) -> str:
        from bayesgmm.tables import component_table

        plural = "s" * (self.n_components > 1)
        head = (
            f"{self.kind} posterior of {self.n_components} {self.covariance_type} component{plural} for "
            f"{self.observed.name} ({self.observed.n_rows} x {self.observed.n_features}): "
            f"{len(self.draws.means)} draws of the guide, their sd in brackets"
        )
        group = self.data["posterior"]
        spread = {name: group[name].std(("chain", "draw")).values for name in ("weights", "means")}
        notes = [f"warning: {words}" for words in self.warnings]
        table = component_table(self, spread["weights"], spread["means"])
        return "\n".join([head, table, self.diagnostics().verdict, *notes])
