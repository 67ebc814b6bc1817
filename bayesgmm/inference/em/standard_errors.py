"""Standard errors of an EM fit, from the observed information by the delta method."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from bayesgmm.inference.em.degeneracy import collapsed, floor_of
from bayesgmm.inference.em.observed_information import observed_information
from bayesgmm.inference.em.parameter_frame import parameter_frame
from bayesgmm.tables import component_table

if TYPE_CHECKING:
    import pandas

MOST_PARAMETERS = 3000  # beyond it the information matrix, and the passes that fill it, get out of hand
DISTANT = (0.1, 1.0)  # standard errors from the maximum: noted above the first, refused above the second
MODEL = "they take the model for true; bayesgmm.bootstrap(fit, kind='nonparametric') does not."
FLAT = 1e-10  # least eigenvalue of the information, scaled to a unit diagonal, that counts as positive


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StandardErrors:
    """Standard errors of a fit's parameters, in the user's units.

    ``print`` shows estimates with errors, ``table`` is a frame of both.

    Attributes
    ----------
    weights : (K,)
    means : (K, D)
    covariances : of every entry, in scikit-learn's shape for the structure
    covariance : (Q, Q) sampling covariance of ``concatenate([weights, means.ravel(), covariances.ravel()])``;
        singular, since weights add to one and covariance matrices are symmetric
    source : where the errors come from
    notes : where not to trust them, in words
    """

    fit: Any
    weights: Float64[np.ndarray, " K"]
    means: Float64[np.ndarray, "K D"]
    covariances: NDArray[np.float64]
    covariance: Float64[np.ndarray, "Q Q"]
    source: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of_covariance(cls, fit: Any, covariance: NDArray[np.float64], source: str, notes: tuple[str, ...]):
        """From the sampling covariance (Q, Q) of weights, means and covariances, one after the other."""
        k, d = fit.means.shape
        errors = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
        weights, means, rest = np.split(errors, [k, k + k * d])
        shaped = (weights, means.reshape(k, d), rest.reshape(fit.covariances.shape))
        near_zero = np.flatnonzero((fit.weights < 2.0 * weights) & (k > 1))
        if near_zero.size:
            named = ", ".join(map(str, near_zero))
            notes += (
                f"the weight of component {named} is within two standard errors of zero, a boundary where errors "
                "are not symmetric: look at bayesgmm.bootstrap(fit).intervals().",
            )
        return cls(fit, *shaped, covariance, source, notes)

    @property
    def sds(self) -> Float64[np.ndarray, "K D"]:
        """Standard errors of the components' standard deviations, by the delta method."""
        k, d = self.fit.means.shape
        variances, errors = (
            self.fit.model.structure.variances(a, k, d) for a in (self.fit.covariances, self.covariances)
        )
        return errors / (2.0 * np.sqrt(variances))

    @property
    def table(self) -> pandas.DataFrame:
        """Estimates and standard errors of weights, means and standard deviations, a pandas DataFrame."""
        return parameter_frame(self.fit, standard_error=(self.weights, self.means, self.sds))

    def __repr__(self) -> str:
        fit = self.fit
        head = (
            f"Standard errors (in brackets) of {fit.n_components} {fit.covariance_type} component"
            f"{'s' * (fit.n_components > 1)} fitted to {fit.observed.name}: {self.source}, "
            f"{fit.n_parameters} parameters, {fit.n_rows:g} rows"
        )
        table = component_table(fit, self.weights, self.means, self.sds)
        return "\n".join([head, table, *(f"note: {note}" for note in self.notes)])


def information_errors(fit: Any) -> StandardErrors:
    """Standard errors from the observed information of the objective that an EM fit maximised.

    ``sample_weight`` counts repetitions of rows. For ``objective="posterior"`` the prior's curvature is included.

    Parameters
    ----------
    fit : EMResult

    Raises
    ------
    ValueError
        If there are more than 3000 parameters, a component is empty or a spike, the fit is not at a maximum (not
        converged, or moved away by ``reg_covar``), or the information is not positive definite. Says which.
    """
    if fit.n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"Expected at most {MOST_PARAMETERS} parameters for standard errors; got {fit.n_parameters}. "
            "Use bayesgmm.bootstrap, or a sparser covariance_type."
        )
    _refuse_degenerate(fit)
    information = observed_information(fit)
    scale = np.sqrt(np.maximum(np.diagonal(information.matrix), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(information.matrix / scale / scale[:, None])
    _refuse_flat(fit, values, vectors)
    root = vectors / np.sqrt(values) / scale[:, None]
    distance = float(np.linalg.norm(information.score @ root))
    notes = _refuse_distant(fit, distance)
    factor = information.reported.T @ root
    kind = "posterior" if fit.log_posterior is not None else "likelihood"
    return StandardErrors.of_covariance(
        fit, factor @ factor.T, f"observed information of the {kind}", (*fit.degeneracies, *notes, MODEL)
    )


def _refuse_degenerate(fit: Any) -> None:
    empty = np.flatnonzero(~np.isfinite(fit.mixture.log_weights))
    if empty.size:
        raise ValueError(
            f"Expected a fit inside the parameter space; component {empty[0]} has weight zero, a boundary where "
            "standard errors do not exist. Fit fewer components."
        )
    thin = np.flatnonzero(collapsed(fit.mixture, fit.problem, floor_of(fit.engine, fit.problem)))
    if thin.size:
        raise ValueError(
            f"Expected a fit without spikes; component {thin[0]} has a standard deviation below 1e-3 of the data's, "
            "where the likelihood grows as it shrinks, and its curvature means nothing. Fit fewer components, or use "
            "EM(objective='posterior')."
        )


def _refuse_flat(fit: Any, values: NDArray[np.float64], vectors: NDArray[np.float64]) -> None:
    if values[0] > FLAT:
        return
    k, d = fit.means.shape
    largest = int(np.argmax(np.abs(vectors[:, 0])))
    if largest < k - 1:
        where = f"the weight of component {largest}"
    elif largest < k - 1 + k * d:
        where = f"the mean of component {(largest - k + 1) // d}"
    else:
        where = "the covariances"
    reason = "" if fit.status.ok else f" The fit {fit.status.value}."
    raise ValueError(
        "Expected a strict maximum; the observed information is not positive definite: the objective does not fall "
        f"along a direction that moves mainly {where}, so that the fit is a saddle or its parameters are not "
        f"identified.{reason} Use fewer components, more starts (n_init), or bayesgmm.bootstrap."
    )


def _refuse_distant(fit: Any, distance: float) -> tuple[str, ...]:
    """Refuse where the objective would rise for a standard error or more; note it where it is less."""
    if distance <= DISTANT[0]:
        return ()
    reason = "reg_covar or a loose tol keeps it away" if fit.status.ok else fit.status.value
    words = f"the fit is {distance:.2g} standard errors from the maximum of its objective ({reason})"
    if distance > DISTANT[1]:
        raise ValueError(f"Expected a fit at a maximum; {words}. Fit again with a smaller tol or reg_covar.")
    return (words,)
