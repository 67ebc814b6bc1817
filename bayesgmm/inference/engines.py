"""The engines by name, for the command line and the estimators; nothing is loaded until one is asked for."""

from __future__ import annotations

import importlib

AUTO = "auto"
ENGINES = {
    "em": ("bayesgmm.inference.em.em", "EM"),
    "cavi": ("bayesgmm.inference.cavi.cavi", "CAVI"),
    "svi": ("bayesgmm.inference.svi.svi", "SVI"),
    "nuts": ("bayesgmm.inference.gradient.nuts", "NUTS"),
    "hmc": ("bayesgmm.inference.gradient.hmc", "HMC"),
    "gibbs": ("bayesgmm.inference.gibbs.gibbs", "Gibbs"),
}


def engine_class(name: str) -> type:
    """The engine of that name; a ValueError where there is none."""
    if name not in ENGINES:
        raise ValueError(
            f"Expected engine to be one of {', '.join(ENGINES)}, {AUTO}, or an engine; got {name!r}."
        )
    module, kind = ENGINES[name]
    return getattr(importlib.import_module(module), kind)
