"""The classes that a file may name: data classes, named tuples and enumerations among the public names.

The list follows from what the package exports, so that a new engine or prior can be saved on the day it is public.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
from typing import Any

EXPORTED_BY = (
    "bayesgmm",
    "bayesgmm.data",
    "bayesgmm.models",
    "bayesgmm.models.components",
    "bayesgmm.models.weights",
)

WITHIN = {  # what results are made of besides
    "Problem": "bayesgmm.inference.problem",
    "Factors": "bayesgmm.posterior.variational",
    "VariationalPosterior": "bayesgmm.posterior.variational",
    "GuidePosterior": "bayesgmm.posterior.guide",
}
BUILT_FROM = {  # where the constructor takes something else than the fields
    "VariationalPosterior": (
        *("problem", "engine", "seconds", "factors", "elbo"),
        *("history", "restarts", "status", "n_steps", "moves"),
    ),
}


def find_part(name: str) -> type | None:
    """The class of that name which a file may hold, or None."""
    for module in map(importlib.import_module, EXPORTED_BY):
        if name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and is_plain(value):
                return value
    return getattr(importlib.import_module(WITHIN[name]), name) if name in WITHIN else None


def is_plain(kind: type) -> bool:
    """Whether a class is made of its fields and nothing else."""
    return dataclasses.is_dataclass(kind) or is_named_tuple(kind) or issubclass(kind, enum.Enum)


def is_named_tuple(kind: type) -> bool:
    """Whether a class is a ``NamedTuple``."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def fields_of(kind: type) -> tuple[str, ...]:
    """Names of the fields that a data class or a named tuple is built from."""
    if kind.__name__ in BUILT_FROM:
        return BUILT_FROM[kind.__name__]
    if is_named_tuple(kind):
        return tuple(kind._fields)  # type: ignore[attr-defined]
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)


def part_named(name: Any) -> type:
    """The class of that name; a ValueError where there is none."""
    part = find_part(name) if isinstance(name, str) else None
    if part is None:
        raise ValueError(f"it names {name!r}, which this version of bayesgmm does not have")
    return part
