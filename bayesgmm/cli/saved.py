"""A fit as a small JSON file in the user's units, and back, for prediction."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bayesgmm.data import Data, Standardisation
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.predict import MixturePredictor

FORMAT, VERSION = "bayesgmm mixture", 1
MOST_DRAWS = 400  # of a posterior, evenly thinned


def to_json(result: Any) -> str:
    """A fit as JSON: its point estimates, and up to 400 draws of a posterior, over which predictions average."""
    n_draws = result.draws.log_weights.shape[0]
    chosen = np.unique(np.linspace(0, n_draws - 1, min(n_draws, MOST_DRAWS)).round().astype(int))
    draws = result.restore(jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], result.draws))
    content = {
        "format": FORMAT,
        "version": VERSION,
        "engine": result.kind,
        "data": result.observed.name,
        "n_rows": result.observed.n_rows,
        "feature_names": list(result.observed.feature_names),
        "covariance_type": result.covariance_type,
        "weights": result.weights.tolist(),
        "means": result.means.tolist(),
        "covariances": np.asarray(result.covariances).tolist(),
        "draws": None if n_draws == 1 else _arrays(draws),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _arrays(mixture: Mixture) -> dict[str, Any]:
    return {
        "weights": np.exp(mixture.log_weights).tolist(),
        "means": np.asarray(mixture.means).tolist(),
        "covariances": np.asarray(mixture.covariances).tolist(),
    }


@dataclasses.dataclass(frozen=True)
class SavedMixture(MixturePredictor):
    """A mixture read back: it predicts as the fit did (a posterior by its saved draws)."""

    observed: Data
    standardisation: Standardisation
    draws: Mixture

    @classmethod
    def read(cls, path: str) -> SavedMixture:
        """Read what ``to_json`` wrote.

        Raises ``FileNotFoundError`` where there is no such file, ``ValueError`` where it holds something else.
        """
        file = Path(path).expanduser()
        if not file.is_file():
            raise FileNotFoundError(
                f"There is no file {str(file)!r}; 'bayesgmm fit DATA -k 3 --out FILE' writes one."
            )
        text = file.read_text(encoding="utf-8", errors="replace")
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise _foreign(path, f"it is not JSON ({error})") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise _foreign(path, "it does not say that it holds a mixture")
        if content.get("version") != VERSION:
            raise _foreign(
                path, f"its version is {content.get('version')!r}, and only {VERSION} is known here"
            )
        try:
            return cls._from(content)
        except (KeyError, TypeError, ValueError) as error:
            raise _foreign(
                path, f"its contents do not fit together ({type(error).__name__}: {error})"
            ) from error

    @classmethod
    def _from(cls, content: dict[str, Any]) -> SavedMixture:
        point = _mixture(content, content["covariance_type"])
        mean = np.exp(point.log_weights) @ point.means
        names = tuple(map(str, content["feature_names"]))
        if len(names) != len(mean):
            raise ValueError(f"{len(names)} feature names for {len(mean)} features")
        scale = _scale(point, mean)
        drawn = content["draws"]
        user = (
            jax.tree.map(lambda leaf: np.asarray(leaf)[None], point)
            if drawn is None
            else _mixture(drawn, content["covariance_type"])
        )
        # Only the names are of use here: the rows of the fit are not saved, its means stand for them.
        observed = Data(point.means, names, str(content["data"]))
        return cls(observed, Standardisation(mean, scale), user.rescale(1.0 / scale, -mean / scale))


def _mixture(arrays: dict[str, Any], covariance_type: str) -> Mixture:
    """A mixture from lists, refused unless it is one."""
    mixture = Mixture.from_parameters(
        arrays["weights"], arrays["means"], arrays["covariances"], covariance_type
    )
    k, d = mixture.means.shape[-2:]
    dense = mixture.structure.dense(mixture.covariances, k, d)
    if mixture.log_weights.shape != mixture.means.shape[:-1]:
        raise ValueError(f"{mixture.log_weights.shape} weights for {mixture.means.shape[:-1]} components")
    if not (np.isfinite(mixture.means).all() and np.all(np.linalg.eigvalsh(dense) > 0)):
        raise ValueError("means must be finite and covariances positive definite")
    return mixture


def _scale(mixture: Mixture, mean: np.ndarray) -> np.ndarray:
    """The mixture's own standard deviations (D,): one for all where the structure wants a common scale."""
    k, d = mixture.means.shape
    within = np.diagonal(mixture.structure.dense(mixture.covariances, k, d), axis1=1, axis2=2)
    variance = np.exp(mixture.log_weights) @ (within + (mixture.means - mean) ** 2)
    if mixture.structure.common_scale:
        variance = np.full_like(variance, variance.mean())
    return np.sqrt(variance)


def _foreign(path: str, why: str) -> ValueError:
    return ValueError(f"Expected {path!r} to be a file written by 'bayesgmm fit --out'; {why}.")
