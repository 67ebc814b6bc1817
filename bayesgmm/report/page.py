"""The page: results to context, context to HTML, HTML to disk in one step."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from bayesgmm.criteria.information import CRITERIA
from bayesgmm.report import reproduce, sections, words
from bayesgmm.report.figures import figures, of_comparison


def write_report(
    path: str | os.PathLike[str],
    selection: Any,
    em: Any,
    posterior: Any | None = None,
    comparison: Any | None = None,
    partition: Any | None = None,
    command: str | None = None,
    *,
    how_many: Any | None = None,
    source: str | None = None,
    random_state: Any = None,
    seconds: Mapping[str, float] | None = None,
) -> Path:
    """Write one self-contained HTML page: no scripts, no network, images inside; printable, light and dark.

    Parameters
    ----------
    path : file to write; replaced in one step, so that readers never see half a page
    selection : what ``select`` returned
    em : the EM fit that is reported, usually ``selection.best``
    posterior : the posterior sampled from there, if any
    comparison : what ``compare`` returned for them; computed if None
    partition : what ``partition`` returned for the posterior, if it is to be told
    command : the command line that did all this
    how_many : what ``k_table`` or ``k_consensus`` returned, if it is to be told
    source : the file or bundled name that the rows came from, for the code that reproduces the page
    random_state : the seed, for the same
    seconds : time by phase; what the results recorded if None

    Returns
    -------
    the path

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path).expanduser()
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.absolute().parent)!r} to write {path.name!r} to."
        )
    if comparison is None:
        from bayesgmm.criteria.compare import compare

        comparison = compare({"EM": em} | ({} if posterior is None else {posterior.kind: posterior}))
    content = context(selection, em, posterior, comparison, partition, how_many)
    content["reproduce"] = {
        "command": command,
        "code": reproduce.code(selection, em, posterior, source, random_state),
        "versions": reproduce.versions(),
        "seconds": reproduce.times(selection, em, posterior, seconds),
    }
    _write(path, _render(content))
    return path


def context(
    selection: Any,
    em: Any,
    posterior: Any | None,
    comparison: Any,
    partition: Any | None = None,
    how_many: Any | None = None,
) -> dict[str, Any]:
    """Everything the page says of the results."""
    result = em if posterior is None else posterior
    probability = result.predict_proba()
    warnings = _warnings(selection, em, posterior, partition)
    found = [
        *words.choice(selection),
        *words.sizes(em, posterior),
        words.doubt(result, probability),
        words.agreement(comparison),
    ]
    return {
        "name": em.observed.name,
        "headline": words.headline(selection, em, posterior, probability),
        "ok": not warnings,
        "asked": _asked(selection, em, posterior),
        "features": sections.features(em.observed),
        "found": list(filter(None, found)),
        "ranking": sections.ranking(selection),
        "how_many": sections.how_many(how_many),
        "how_many_words": words.how_many(how_many),
        "parameters": sections.parameters(comparison),
        "partition": sections.partition(partition),
        "partition_words": words.partition(partition),
        "doubtful": sections.doubtful_rows(result, probability),
        "certainty": words.certainty(em, posterior),
        "diagnostics": _diagnostics(posterior),
        "comparison": sections.comparison(comparison),
        "notes": comparison.notes,
        "figures": figures(selection, em, posterior, partition) | of_comparison(comparison),
        "warnings": warnings,
        "date": datetime.date.today().isoformat(),
    }


def _asked(selection: Any, em: Any, posterior: Any | None) -> dict[str, str]:
    observed = em.observed
    counts = sorted({k for _, k in (*selection.fits, *selection.failures)})
    structures = dict.fromkeys(name for name, _ in (*selection.fits, *selection.failures))
    plural = "s" * (observed.n_features > 1)
    asked = {
        "Data": f"{observed.name}: {observed.n_rows} rows, {observed.n_features} feature{plural} "
        f"({words.listed(list(observed.feature_names))})",
        "Models": f"Gaussian mixtures of {_range(counts)} component{'s' * (counts != [1])}, "
        f"covariances {words.listed(list(structures))}",
        "Chosen by": f"{CRITERIA[selection.criterion].label}, from {em.engine.n_init} starts of EM each",
    }
    if posterior is not None:
        chains, draws = posterior.data["sample_stats"]["lp"].shape
        began = ", started from the EM fit" if getattr(posterior, "start", None) is em else ""
        asked["Posterior"] = (
            f"{words.described(posterior)}; priors: {reproduce.described(posterior.model)}; "
            f"{posterior.kind}, {chains} chain{'s' * (chains > 1)} of {draws} draws{began}"
        )
    return asked


def _range(counts: list[int]) -> str:
    """Numbers in words: "1 to 9" where none is left out."""
    whole = len(counts) > 2 and counts == list(range(counts[0], counts[-1] + 1))
    return f"{counts[0]} to {counts[-1]}" if whole else words.listed([str(k) for k in counts])


def _diagnostics(posterior: Any | None) -> list[Any]:
    if posterior is None:
        return []
    found = posterior.diagnostics()
    return [
        sections.diagnostics(found.invariants, "Quantities that do not depend on labels"),
        sections.diagnostics(found.parameters, "Parameters, relabelled"),
    ]


def _warnings(selection: Any, em: Any, posterior: Any | None, partition: Any | None) -> list[str]:
    """Every warning once, with who gives it."""
    sources = {"selection": selection, "EM": em} | ({} if posterior is None else {posterior.kind: posterior})
    sources |= {} if partition is None else {"partition": partition}
    found: dict[str, str] = {}
    for name, result in sources.items():
        for text in result.warnings:
            found.setdefault(text, name)
    return [f"{name}: {text}" for text, name in found.items()]


def _render(content: Mapping[str, Any]) -> str:
    import jinja2

    source = files("bayesgmm.report").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(content)


def _write(path: Path, text: str) -> None:
    """Write beside the target, then rename: the target is the old page or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
