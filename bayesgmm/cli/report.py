"""``bayesgmm report``: the HTML page of a saved fit."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from bayesgmm.cli import command
from bayesgmm.cli.progress import shown


@click.command()
@click.argument("saved", metavar="SAVED")
@click.option("--out", metavar="FILE", required=True, help="The HTML page to write.")
@command.seed_option
@command.computing
def report(saved: str, out: str, seed: int) -> None:
    """Write the HTML page of a fit that 'bayesgmm fit --out' or bayesgmm.save wrote to SAVED.

    What else might have been chosen is not in the file: 'bayesgmm compare DATA --report' does the whole job.
    """
    command.check_folder(out)
    with shown() as progress:
        with progress.phase("loading"):
            import matplotlib

            matplotlib.use("Agg")
            from bayesgmm.io import load

            result = load(saved)
        with progress.phase("partition"):
            from bayesgmm.posterior.partition import partition

            found = partition(result, random_state=seed)
        with progress.phase("report"):
            em = _em(result, seed)
            _write(out, em, None if result is em else result, found)
    click.echo(f"wrote {out}", err=True)


def _em(result: Any, seed: int) -> Any:
    """The EM fit that stands beside it: itself, the one it began from, or a new one with as many components."""
    if result.kind == "EM":
        return result
    start = getattr(result, "start", None)
    if getattr(start, "kind", None) == "EM":
        return start
    from bayesgmm.inference.em.em import EM
    from bayesgmm.inference.fit import fit
    from bayesgmm.models import finite_mixture

    clusters = int(result.n_clusters.idxmax())
    return fit(result.observed, finite_mixture(clusters, result.covariance_type), EM(), random_state=seed)


def _write(path: str, em: Any, posterior: Any | None, found: Any) -> None:
    from bayesgmm.criteria.select import Selection
    from bayesgmm.report import write_report

    only = Selection({(em.covariance_type, em.n_components): em}, {}, "bic")
    write_report(
        path,
        only,
        em,
        posterior,
        partition=found,
        command=shlex.join(["bayesgmm", *sys.argv[1:]]),
        random_state=(posterior or em).seed,
    )
