"""Engines by name, and scikit-learn's words for their settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bayesgmm.inference.engines import AUTO, engine_class
from bayesgmm.models import FiniteMixture

WORDS = {  # of scikit-learn's, and what engines call them: the first that one has
    "tol": ("tol",),
    "reg_covar": ("reg_covar",),
    "n_init": ("n_init",),
    "max_iter": ("num_samples", "max_steps", "num_steps"),
}
DRAWN = ("num_chains",)  # a field of samplers alone


def make_engine(
    engine: Any, model: FiniteMixture, words: Mapping[str, Any], objective: str = "likelihood"
) -> Any:
    """An engine given by name, with what is said of its settings; one given as an object as it is.

    Parameters
    ----------
    words : scikit-learn's settings; None leaves an engine's own, and what an engine does not have is not passed
    objective : of EM
    """
    if not isinstance(engine, str):
        return engine
    kind = engine_class(best_engine(model) if engine == AUTO else engine)
    fields = [field.name for field in dataclasses.fields(kind)]
    settings: dict[str, Any] = {"objective": objective} if "objective" in fields else {}
    for word, value in words.items():
        name = _field_for(word, fields)
        if name is not None and value is not None:
            settings[name] = value
    if "n_init" in settings and "moves" in fields:
        settings["moves"] = 0  # so many starts and nothing else
    return kind(**settings)


def _field_for(word: str, fields: list[str]) -> str | None:
    """What an engine of these fields calls one of scikit-learn's words; None where it has no such thing."""
    sampler = any(name in fields for name in DRAWN)
    names = WORDS[word] if sampler else [name for name in WORDS[word] if name != "num_samples"]
    return next((name for name in names if name in fields), None)


def best_engine(model: FiniteMixture) -> str:
    """The quickest engine that fits a model's posterior: variational, else Gibbs, else NUTS."""
    for name in ("cavi", "gibbs"):
        if all(_can(part, f"check_{name}") for part in (model.weights, model.components)):
            return name
    return "nuts"


def _can(part: Any, check: str) -> bool:
    try:
        getattr(part, check, lambda: None)()
    except ValueError:
        return False
    return True
