"""The finished cells of a sweep, one file each: a sweep that was killed goes on from them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data import Data
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.em.result import EMResult
from bayesgmm.io import load


@dataclasses.dataclass(frozen=True, eq=False)
class Finished:
    """A folder of fits, with what they must have in common.

    Attributes
    ----------
    folder : made if it is not there; None keeps nothing
    data, sample_weight, engine, seed : of the sweep
    """

    folder: str | os.PathLike[str] | None
    data: Data
    sample_weight: NDArray[np.float64]
    engine: EM
    seed: int

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        path = Path(self.folder)
        if path.exists() and not path.is_dir():
            raise ValueError(f"Expected checkpoint to be a folder, a file a cell; {str(path)!r} is a file.")
        path.mkdir(parents=True, exist_ok=True)

    def keep(self, fit: EMResult) -> None:
        """Write a fit, whole or not at all."""
        if self.folder is not None:
            fit.save(self._path(fit.covariance_type, fit.n_components))

    def load(self, covariance_type: str, n_components: int) -> EMResult | None:
        """The fit of a cell, or None. Raises a ValueError that says what differs where it is of another sweep."""
        if self.folder is None or not self._path(covariance_type, n_components).exists():
            return None
        path = self._path(covariance_type, n_components)
        try:
            fit = load(path)
        except ValueError as error:
            raise ValueError(
                f"{error} It is a cell of the checkpoint: delete it, and it is fitted anew."
            ) from error
        same = {
            "rows": np.array_equal(fit.observed.rows, self.data.rows),
            "feature names": fit.observed.feature_names == self.data.feature_names,
            "row weights": np.array_equal(fit.sample_weight, self.sample_weight),
            "engine": fit.engine == self.engine,
            "random_state": fit.seed == self.seed,
            "cell": (fit.covariance_type, fit.n_components) == (covariance_type, n_components),
        }
        other = [what for what, equal in same.items() if not equal]
        if other:
            raise ValueError(
                f"Expected a finished cell of this sweep in {str(path)!r}; it has other {', '.join(other)}. Delete "
                "the folder, or give another one (and the same random_state each time)."
            )
        return fit

    def _path(self, covariance_type: str, n_components: int) -> Path:
        return Path(self.folder or "") / f"{covariance_type}_{n_components}.nc"
