"""Immutable records of arrays that JAX takes as arguments of its programs."""

from __future__ import annotations

import dataclasses
from typing import Any, dataclass_transform

import jax
import numpy as np


@dataclass_transform(frozen_default=True)
class PyTree:
    """A frozen dataclass whose fields JAX looks into, but for those that are :func:`static`.

    Subclasses become dataclasses and are registered by themselves. Attributes and methods are Python's own: where the
    rows are few, what an attribute costs is a part of the time of a fit.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fields = dataclasses.fields(dataclasses.dataclass(frozen=True, eq=False)(cls))
        names = tuple(f.name for f in fields if "static" not in f.metadata)
        fixed = tuple(f.name for f in fields if "static" in f.metadata)

        def with_keys(tree: Any) -> tuple[list, tuple]:
            leaves = [(jax.tree_util.GetAttrKey(name), getattr(tree, name)) for name in names]
            return leaves, tuple(getattr(tree, name) for name in fixed)

        def flatten(tree: Any) -> tuple[list, tuple]:
            return [getattr(tree, name) for name in names], tuple(getattr(tree, name) for name in fixed)

        def unflatten(static_values: tuple, leaves: Any) -> Any:
            tree = object.__new__(cls)  # JAX's leaves need not be arrays, so the constructor is passed over
            tree.__dict__.update(
                zip(fixed, static_values, strict=True), **dict(zip(names, leaves, strict=True))
            )
            return tree

        jax.tree_util.register_pytree_with_keys(cls, with_keys, unflatten, flatten)


def same(one: Any, other: Any) -> bool:
    """Whether two trees are alike: built in the same way, of equal leaves."""
    (mine, structure), (theirs, built) = jax.tree.flatten(one), jax.tree.flatten(other)
    return structure == built and all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def static(**kwargs: Any) -> Any:
    """A field that is compiled in: other values compile anew."""
    return dataclasses.field(metadata={"static": True}, **kwargs)
