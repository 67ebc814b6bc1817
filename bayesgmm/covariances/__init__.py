"""Covariance structures: one file each, and the registry."""

from __future__ import annotations

import difflib

from bayesgmm.covariances.diag import Diag
from bayesgmm.covariances.full import Full
from bayesgmm.covariances.spherical import Spherical
from bayesgmm.covariances.structure import (
    Array,
    Moments,
    Natural,
    Precision,
    PseudoMoments,
    Structure,
    namespace,
)
from bayesgmm.covariances.tied import Tied

STRUCTURES: dict[str, Structure] = {s.name: s for s in (Full(), Tied(), Diag(), Spherical())}


def get_structure(name: str | Structure) -> Structure:
    """The structure of that name (``covariance_type``); raises a ValueError that lists the names."""
    if isinstance(name, Structure):
        return name
    if name not in STRUCTURES:
        close = difflib.get_close_matches(str(name), STRUCTURES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"Expected covariance_type to be one of {', '.join(STRUCTURES)}; got {name!r}.{hint}"
        )
    return STRUCTURES[name]


__all__ = [
    "STRUCTURES",
    "Array",
    "Moments",
    "Natural",
    "Precision",
    "PseudoMoments",
    "Structure",
    "get_structure",
    "namespace",
]
