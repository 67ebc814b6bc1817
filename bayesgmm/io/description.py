"""Objects as plain descriptions, and back: classes by name, fields by name, arrays apart.

A description is what JSON can hold. Numbers, text and None stand for themselves; everything else is an object with
one telling key: ``array``, ``scalar``, ``tuple``, ``list``, ``dict``, ``structure``, ``enum``, ``class`` or ``groups``.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import STRUCTURES, Structure, get_structure
from bayesgmm.io.parts import fields_of, find_part, is_plain, part_named

KINDS = "biuf"  # of arrays: truth values, integers, floats


@dataclasses.dataclass
class Stored:
    """What a description refers to: arrays by path, and the tree of groups."""

    arrays: dict[str, NDArray] = dataclasses.field(default_factory=dict)
    groups: Any = None  # an xarray.DataTree


def describe(value: Any, path: str, stored: Stored) -> Any:
    """A value as a description; its arrays and groups go to ``stored``.

    Raises a TypeError that names the place for a value that could not be built again.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        # Apart from Python's own numbers, which JAX would compile in rather than trace.
        return {"scalar": describe(value.item(), path, stored), "dtype": value.dtype.name}
    if isinstance(value, np.ndarray | jax.Array):
        return {"array": _store(np.asarray(value), path, stored)}
    if isinstance(value, Structure):
        if STRUCTURES.get(value.name) != value:
            raise _foreign(value, path)
        return {"structure": value.name}
    if _is_tree(value):
        if stored.groups is not None:
            raise TypeError(f"Expected one DataTree in a result; got a second at {path}.")
        stored.groups = value
        return {"groups": sorted(value.children)}
    if isinstance(value, Mapping):
        return {"dict": {_key(k, path): describe(v, f"{path}.{k}", stored) for k, v in value.items()}}
    kind = type(value)
    if kind in (tuple, list):
        return {kind.__name__: [describe(item, f"{path}.{i}", stored) for i, item in enumerate(value)]}
    if not is_plain(kind) or find_part(kind.__name__) is not kind:
        raise _foreign(value, path)
    if isinstance(value, enum.Enum):
        return {"enum": kind.__name__, "member": value.name}
    fields = {name: describe(getattr(value, name), f"{path}.{name}", stored) for name in fields_of(kind)}
    return {"class": kind.__name__, "fields": fields}


def rebuild(node: Any, stored: Stored) -> Any:
    """The value that was described; a KeyError, TypeError or ValueError where the description is none of ours."""
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if "array" in node:
        return stored.arrays[node["array"]]
    if "scalar" in node:
        return _scalar(node["scalar"], str(node["dtype"]))
    if "structure" in node:
        return get_structure(str(node["structure"]))
    if "groups" in node:
        return _groups(node["groups"], stored)
    if "dict" in node:
        return {key: rebuild(item, stored) for key, item in node["dict"].items()}
    if "tuple" in node:
        return tuple(rebuild(item, stored) for item in node["tuple"])
    if "list" in node:
        return [rebuild(item, stored) for item in node["list"]]
    if "enum" in node:
        kind = part_named(node["enum"])
        if not issubclass(kind, enum.Enum):
            raise ValueError(f"{node['enum']} is no enumeration")
        return kind[node["member"]]
    return _instance(part_named(node["class"]), node["fields"], stored)


def _instance(kind: type, fields: Mapping[str, Any], stored: Stored) -> Any:
    """An object from its fields, through its own constructor and its checks."""
    unknown = sorted(set(fields) - set(fields_of(kind)))
    if unknown or issubclass(kind, enum.Enum):
        raise ValueError(f"{kind.__name__} has no field {', '.join(map(repr, unknown))}")
    return kind(**{name: rebuild(node, stored) for name, node in fields.items()})


def _scalar(value: Any, dtype: str) -> np.generic:
    kind = np.dtype(dtype)
    if kind.kind not in KINDS:
        raise ValueError(f"{dtype} is no type of number")
    return kind.type(value)


def _is_tree(value: Any) -> bool:
    import xarray  # loads pandas, which EM alone does not need

    return isinstance(value, xarray.DataTree)


def _groups(names: Any, stored: Stored) -> Any:
    if stored.groups is None or sorted(stored.groups.children) != names:
        raise ValueError(f"the groups {names} are not all there")
    return stored.groups


def _store(array: NDArray, path: str, stored: Stored) -> str:
    """Keep an array, once if several places share the same numbers; the path under which it is found."""
    if array.dtype.kind not in KINDS:
        raise TypeError(f"Expected arrays of numbers in a result; got {array.dtype} at {path}.")
    for other, known in stored.arrays.items():
        same = known.dtype == array.dtype and known.shape == array.shape
        if same and (known is array or known.tobytes() == array.tobytes()):
            return other
    stored.arrays[path] = array
    return path


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"Expected text as keys in {path}; got {key!r}.")
    return key


def _foreign(value: Any, path: str) -> TypeError:
    kind = type(value)
    return TypeError(
        f"Expected a result made of bayesgmm's own parts; got {kind.__module__}.{kind.__qualname__} at {path}. A file "
        "can only name what bayesgmm can build again: save the numbers, for a posterior with "
        "result.data.to_netcdf(path)."
    )
