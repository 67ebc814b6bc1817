"""``save`` and ``load``: one result, one netCDF file."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bayesgmm.data import Data
from bayesgmm.io.description import Stored, describe, rebuild
from bayesgmm.io.sealed import check_content, check_seal, write_sealed
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.predict import MixturePredictor

FORMAT, VERSION = "bayesgmm result", 1
GROUP = "bayesgmm"
PACKAGES = ("bayesgmm", "jax", "numpyro", "numpy", "xarray", "h5netcdf")


def save(result: Any, path: str | os.PathLike[str]) -> None:
    """Write a result to a file, whole or not at all.

    Parameters
    ----------
    result : what ``bayesgmm.fit`` returned
    path : of a netCDF file, such as ``"run.nc"``; what is there is replaced

    Raises
    ------
    TypeError
        If the result holds something that is not bayesgmm's own, such as a prior of your own class.
    FileNotFoundError, IsADirectoryError
        If there is no such folder, or the path is one.
    """
    import xarray

    target = Path(path).expanduser().resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(target.parent)!r} to write {target.name!r} to.")
    if target.is_dir():
        raise IsADirectoryError(f"Expected a file to write to; {str(target)!r} is a folder.")
    stored = Stored()
    description = describe(result, "result", stored)
    groups = getattr(result, "data", None) if stored.groups is None else stored.groups
    content = {
        "format": FORMAT,
        "version": VERSION,
        "kind": type(result).__name__,
        "dtype": str(np.result_type(_mixtures(result).means)),
        "seed": result.seed,
        "versions": _versions(),
        "result": description,
    }
    tree = xarray.DataTree() if groups is None else groups.copy()
    tree[GROUP] = xarray.DataTree(_as_dataset(stored.arrays, json.dumps(content)))
    write_sealed(target, lambda aside: tree.to_netcdf(aside, engine="h5netcdf"))


def load(path: str | os.PathLike[str]) -> Any:
    """Read a result back: it predicts bit for bit what the saved one predicted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is anything but a whole, undamaged file written by ``save``; nothing in it is executed.
    """
    import xarray

    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {str(file)!r}; result.save(path) writes one.")
    try:
        check_seal(file)
        check_content(file)
        with xarray.open_datatree(file, engine="h5netcdf", decode_times=False) as tree:
            result = _result_in(tree.load())
        _check(result)
    except Exception as error:  # whatever a hostile file makes of the libraries beneath us, the answer is no
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        why = " ".join(why.split()).rstrip(".")
        raise ValueError(
            f"Expected {str(path)!r} to be a file written by bayesgmm (result.save, or 'bayesgmm fit --out'); {why}."
        ) from error
    return result


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _as_dataset(arrays: dict[str, np.ndarray], description: str) -> Any:
    """The arrays, each with dimensions of its own, and the description."""
    import xarray

    variables: dict[str, Any] = {"description": xarray.Variable((), description)}
    for path, array in arrays.items():
        dims = [f"{path}:{axis}" for axis in range(array.ndim)]
        variables[path] = xarray.Variable(dims, array, encoding={"_FillValue": None})
    return xarray.Dataset(variables, attrs={"format": FORMAT, "version": VERSION})


def _result_in(tree: Any) -> Any:
    """The result that a loaded tree describes."""
    import xarray

    if GROUP not in tree.children:
        raise ValueError("it is netCDF, but holds no result of bayesgmm")
    own = tree[GROUP].to_dataset()
    content = json.loads(str(own["description"].values))
    if content["format"] != FORMAT:
        raise ValueError("it does not say that it holds a result")
    if content["version"] != VERSION:
        raise ValueError(
            f"its version is {content['version']!r}, and only {VERSION} is known here: upgrade bayesgmm"
        )
    arrays = {str(name): np.ascontiguousarray(own[name].values) for name in own.variables}
    for name, array in arrays.items():
        arrays[name] = array.reshape(own[name].shape)  # NumPy makes a vector of a scalar
        arrays[name].setflags(write=False)
    children = {name: child for name, child in tree.children.items() if name != GROUP}
    groups = xarray.DataTree(tree.to_dataset(), children=children) if children else None
    return rebuild(content["result"], Stored(arrays, groups))


def _mixtures(result: Any) -> Mixture:
    """The mixture of a point (leading axis 1), or the draws."""
    if hasattr(result, "mixture"):
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], result.mixture)
    return result.draws


def _check(result: Any) -> None:
    """Raise a ValueError unless rows, standardisation and mixtures fit together and can predict."""
    if not isinstance(result, MixturePredictor) or not isinstance(_mixtures(result), Mixture):
        raise ValueError(f"{type(result).__name__} is no result")
    if not isinstance(result.model, FiniteMixture) or not hasattr(result.engine, "run"):  # type: ignore[attr-defined]
        raise ValueError("it has no model or no engine")
    data, draws = result.observed, _mixtures(result)
    if not isinstance(data, Data) or data.rows.ndim != 2 or not np.isfinite(data.rows).all():
        raise ValueError("its rows are not finite numbers")
    d, k = data.n_features, draws.n_components
    units = result.standardisation
    shapes = [units.shift.shape, units.scale.shape, (len(data.feature_names),), draws.means.shape[-1:]]
    if set(shapes) != {(d,)}:
        raise ValueError("its features do not fit together")
    if not (np.isfinite(units.shift).all() and np.isfinite(units.scale).all() and np.all(units.scale > 0)):
        raise ValueError("its standardisation is not finite and positive")
    lead = draws.log_weights.shape[:-1]
    expected = [(*lead, k), (*lead, k, d), (*lead, *draws.structure.covariance_shape(k, d))]
    if (
        len(lead) != 1
        or [np.shape(a) for a in (draws.log_weights, draws.means, draws.covariances)] != expected
    ):
        raise ValueError("its mixtures do not have the shapes they should have")
    present = np.isfinite(draws.log_weights)
    natural = draws.natural()
    sound = np.isfinite(natural.eta).all(axis=-1) & np.isfinite(natural.shared).all(axis=-1)[:, None]
    if np.isnan(draws.log_weights).any() or not present.any(axis=-1).all() or not sound[present].all():
        raise ValueError("its mixtures hold numbers that no mixture has")
