"""The one verb: ``fit(data, model, engine)``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from bayesgmm.data import (
    RowMoments,
    Standardisation,
    as_data,
    check_fit,
    check_independent,
    check_sample_weight,
)
from bayesgmm.inference.auto import Auto
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.progress import progress_reporter
from bayesgmm.models import FiniteMixture
from bayesgmm.random_state import as_seed


def fit(
    x: Any,
    model: FiniteMixture,
    engine: Any = None,
    *,
    start: Any = None,
    sample_weight: Any = None,
    random_state: Any = None,
    progress: bool | Callable[[str, int, int], None] = False,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Any:
    """Fit a model to data with an engine.

    Parameters
    ----------
    x : rows (N, D): an array, a data frame, the path of a CSV or Parquet file, or a bundled data set's name
    model : what is believed, such as ``models.finite_mixture(3)``
    engine : how it is computed: ``EM()`` (the default), ``CAVI()``, ``SVI()``, ``HMC()``, ``NUTS()``, ``Gibbs()``;
        ``"auto"`` lets a pilot choose between HMC and Gibbs
    start : where to start: a result, a :class:`Mixture` (in the data's units) or labels (N,); None looks itself
    sample_weight : (N,) weights of the rows; a weight of 2 is two such rows
    random_state : int, numpy Generator, JAX key or None; the same one gives the same result
    progress : True shows progress on the standard error stream; a function is called with (phase, done, total)
    checkpoint : a file that a sampler writes as it goes; a run that was killed, called again with the same arguments
        and on the same machine, goes on from it and makes the very same draws; one that was too short, called again
        with more ``num_samples``, adds to them

    Returns
    -------
    EMResult or Posterior

    Raises
    ------
    ValueError, TypeError
        If the data, the model or the start cannot be used; the message names the row, column or argument.
    """
    engine = EM() if engine is None else Auto() if isinstance(engine, str) and engine == "auto" else engine
    if isinstance(engine, type) or not hasattr(engine, "run"):
        raise TypeError(
            f"Expected engine to be an engine such as EM() or NUTS(), or 'auto'; got {_described(engine)}."
        )
    if checkpoint is not None and not getattr(engine, "resumes", False):
        raise ValueError(
            f"Expected no checkpoint for {type(engine).__name__}; HMC, NUTS and Gibbs can go on from one."
        )
    with progress_reporter(progress) as report:
        problem = prepare(x, model, start, sample_weight, random_state, report)
        return engine.run(dataclasses.replace(problem, checkpoint=checkpoint))


def _described(engine: Any) -> str:
    if isinstance(engine, type):
        return f"the class {engine.__name__} (call it: {engine.__name__}())"
    if isinstance(engine, str):
        return f"{engine!r} (engines are objects here: EM(), CAVI(), SVI(), HMC(), NUTS(), Gibbs())"
    return type(engine).__name__


def prepare(x, model, start=None, sample_weight=None, random_state=None, progress=None) -> Problem:
    """Check everything, standardise the rows and resolve the model: all that happens before any computing."""
    if not isinstance(model, FiniteMixture):
        raise TypeError(
            f"Expected model to be a model such as models.finite_mixture(3); got {type(model).__name__}."
        )
    data = as_data(x)
    weight = check_sample_weight(sample_weight, data.n_rows)
    moments = RowMoments.of(data.rows, weight)
    check_fit(data, 1 if model.weights.overfits else model.n_components, weight, moments)
    standardisation = Standardisation.of(moments, model.structure.common_scale)
    if model.structure.correlates:
        check_independent(data, moments, weight)
    resolved = model.resolve(data.rows, weight, moments)
    seed = as_seed(random_state)
    return Problem(data, resolved, standardisation, weight, seed, start, progress, known=moments)
