"""How to get the same results again: code, versions, and where the time went."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from bayesgmm.models import FiniteMixture, finite_mixture
from bayesgmm.pytree import same

PACKAGES = (
    "bayesgmm",
    "jax",
    "numpyro",
    "numpy",
    "scipy",
    "scikit-learn",
    "arviz-stats",
    "xarray",
    "matplotlib",
)


def code(selection: Any, em: Any, posterior: Any | None, source: str | None, random_state: Any) -> str:
    """Python that does the same again."""
    counts = sorted({k for _, k in (*selection.fits, *selection.failures)})
    structures = tuple(dict.fromkeys(name for name, _ in (*selection.fits, *selection.failures)))
    seed = f"random_state={random_state!r}"
    first = f"range({counts[0]}, {counts[-1] + 1})"
    tried = first if counts == list(range(counts[0], counts[-1] + 1)) else repr(counts)
    lines = [
        "import bayesgmm as bg",
        "from bayesgmm import models",
        "",
        f"x = {_data(em.observed, source)}",
        "selection = bg.select(",
        "    x,",
        f"    n_components={tried},",
        f"    covariance_type={structures!r},",
        f"    engine=bg.{_call(em.engine)},",
        f"    criterion={selection.criterion!r},",
        f"    {seed},",
        ")",
        "em = selection.best",
    ]
    fits = '{"EM": em}'
    if posterior is not None:
        start = "start=em, " if getattr(posterior, "start", None) is em else ""
        lines.append(f"model = {_model(posterior)}")
        lines.append(f"posterior = bg.fit(x, model, bg.{_call(posterior.engine)}, {start}{seed})")
        lines.append("print(posterior.diagnostics())")
        fits = f'{{"EM": em, "{posterior.kind}": posterior}}'
    lines.append(f"print(bg.compare({fits}))")
    return "\n".join(lines)


def _call(engine: Any) -> str:
    """An engine as Python, without the settings left at their defaults."""
    changed = [
        f"{field.name}={getattr(engine, field.name)!r}"
        for field in dataclasses.fields(engine)
        if getattr(engine, field.name) != field.default
    ]
    return f"{type(engine).__name__}({', '.join(changed)})"


def _model(posterior: Any) -> str:
    """The model as Python where it is a finite mixture under the default prior; else in words, where to find it."""
    default = finite_mixture(posterior.n_components, posterior.covariance_type)
    if same(default.resolve(posterior.observed.rows), posterior.model):
        return f"models.finite_mixture({posterior.n_components}, {posterior.covariance_type!r})"
    return f"...  # {described(posterior.model)}: in Python, the model of the saved fit, bg.load(path).model"


def described(model: FiniteMixture) -> str:
    """A model's priors by name: "Dirichlet weights, NormalInverseWishart components"."""
    return f"{type(model.weights).__name__} weights, {type(model.components).__name__} components"


def _data(observed: Any, source: str | None) -> str:
    from bayesgmm.data import as_data, list_datasets

    given = observed.name if source is None else str(source)
    if given in list_datasets():
        if as_data(given).feature_names == observed.feature_names:
            return f"bg.load_dataset({given!r})"
    elif source is None:
        return f"...  # the {observed.n_rows} x {observed.n_features} rows called {observed.name!r}"
    return f"bg.as_data({given!r}, columns={list(observed.feature_names)!r})"


def versions() -> dict[str, str]:
    """Versions of what the results depend on."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "from source" if package == "bayesgmm" else "not installed"
    return found


def times(
    selection: Any, em: Any, posterior: Any | None, seconds: Mapping[str, float] | None
) -> dict[str, float]:
    """Seconds by phase: those given, else what the results recorded; the posterior's own phases beneath its."""
    if seconds is None:
        seconds = {"EM sweep": sum(fit.seconds for fit in selection.fits.values())}
        if all(fit is not em for fit in selection.fits.values()):
            seconds["EM"] = em.seconds
        if posterior is not None:
            seconds[posterior.kind] = sum(posterior.seconds.values())
    found: dict[str, float] = {}
    for phase, took in seconds.items():
        found[phase] = took
        if posterior is not None and phase == posterior.kind:
            found |= {f"– {part}": of_it for part, of_it in posterior.seconds.items()}
    return found
