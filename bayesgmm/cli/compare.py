"""``bayesgmm compare``: the whole job, from the sweep to the report."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from bayesgmm.cli import command
from bayesgmm.cli.progress import Progress, shown
from bayesgmm.cli.select import selection_records
from bayesgmm.cli.sweep import sweep

PICTURES = (".png", ".svg", ".pdf")


@click.command()
@command.data_argument
@command.columns_option
@command.most_option
@command.structures_option
@command.criterion_option
@click.option("--chains", type=click.IntRange(min=1), default=4, show_default=True, help="Chains of NUTS.")
@click.option("--samples", type=click.IntRange(min=4), default=1000, show_default=True, help="Draws a chain.")
@click.option(
    "--consensus",
    is_flag=True,
    help="Ask every method for the number of components: evidences, and four priors that leave it open (minutes).",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    help="Also compare held-out densities: fit everything anew to all but one of so many folds, in turn.",
)
@click.option("--no-nuts", is_flag=True, help="Stop after EM: faster, but its parameters are taken as sure.")
@command.seed_option
@click.option("--report", metavar="FILE", help="Write an HTML page with plots and plain words.")
@click.option("--plot", metavar="FILE", help="Write the picture of the comparison: .png, .svg or .pdf.")
@command.format_option
@command.computing
def compare(
    data: str,
    columns: str | None,
    max_components: int,
    structures: tuple[str, ...],
    criterion: str,
    chains: int,
    samples: int,
    consensus: bool,
    folds: int | None,
    no_nuts: bool,
    seed: int,
    report: str | None,
    plot: str | None,
    form: str,
) -> None:
    """Choose a mixture for DATA, sample its posterior, and say how sure it is.

    EM fits every number of components under every covariance structure; a criterion chooses; NUTS, started there,
    samples the posterior of the chosen model, and so of the partition of the rows.
    """
    command.check_folder(report)
    _check_picture(plot)
    with shown() as progress:
        selection = sweep(progress, data, columns, max_components, structures, criterion, seed)
        em = selection.best
        posterior = None if no_nuts else _sample(progress, em, chains, samples, seed)
        partition = _partition(progress, em if posterior is None else posterior, seed)
        how_many = _how_many(progress, selection, posterior, consensus, seed)
        comparison = _compared(progress, {"EM": em, "NUTS": posterior}, folds, seed)
        if plot is not None:
            _draw(progress, comparison, plot)
        if report is not None:
            _report(progress, report, selection, em, posterior, comparison, partition, how_many, data, seed)
    click.echo(_told(selection, em, posterior, comparison, partition, how_many, form))
    for written in filter(None, (plot, report)):
        click.echo(f"wrote {written}", err=True)


def _check_picture(path: str | None) -> None:
    """Refuse a picture that could not be written, before anything is computed."""
    command.check_folder(path)
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise ValueError(f"Expected a picture's name to end in {', '.join(PICTURES)}; got {path!r}.")


def _compared(progress: Progress, fits: dict[str, Any], folds: int | None, seed: int) -> Any:
    """The fits that there are side by side."""
    with progress.phase("comparison") as advance:
        from bayesgmm.criteria.compare import compare as compare_fits

        there = {name: fit for name, fit in fits.items() if fit is not None}
        return compare_fits(
            there, folds=folds, random_state=seed, progress=lambda _, done, total: advance(done, total)
        )


def _draw(progress: Progress, comparison: Any, path: str) -> None:
    with progress.phase("picture"):
        import matplotlib

        matplotlib.use("Agg")
        from bayesgmm.plots import comparison as draw

        draw(comparison)[0, 0].figure.savefig(Path(path).expanduser(), dpi=150)


def _sample(progress: Progress, em: Any, chains: int, samples: int, seed: int) -> Any:
    with progress.phase("NUTS") as advance:
        from bayesgmm.inference.fit import fit
        from bayesgmm.inference.gradient.nuts import NUTS
        from bayesgmm.models import finite_mixture

        def report(phase: str, done: int, total: int) -> None:
            if not phase.startswith("EM"):
                advance(done, total)

        model = finite_mixture(em.n_components, em.covariance_type)
        engine = NUTS(num_chains=chains, num_samples=samples)
        return fit(em.observed, model, engine, start=em, random_state=seed, progress=report)


def _partition(progress: Progress, fit: Any, seed: int) -> Any:
    with progress.phase("partition"):
        from bayesgmm.posterior.partition import partition

        found = partition(fit, random_state=seed)
        repr(found)  # the ball and the doubts are computed when first asked for: here the wait is told
        return found


def _how_many(progress: Progress, selection: Any, posterior: Any, consensus: bool, seed: int) -> Any:
    """What the criteria say of the number of components, and whether components are clusters; or every method."""
    with progress.phase("how many") as advance:
        if consensus:
            from bayesgmm.criteria.k_consensus import k_consensus

            return k_consensus(selection, random_state=seed, progress=lambda _, *done: advance(*done))
        from bayesgmm.criteria.guard import misspecification_guard
        from bayesgmm.criteria.k_table import k_table

        guard = misspecification_guard(selection, posterior=posterior, random_state=seed)
        return k_table(selection, guard=guard)


def _report(
    progress: Progress,
    path: str,
    selection,
    em,
    posterior,
    comparison,
    partition,
    how_many,
    source: str,
    seed: int,
) -> None:
    with progress.phase("report"):
        import matplotlib

        matplotlib.use("Agg")
        from bayesgmm.report import write_report

        write_report(
            path,
            selection,
            em,
            posterior,
            comparison,
            partition,
            how_many=how_many,
            command=shlex.join(["bayesgmm", *sys.argv[1:]]),
            source=source,
            random_state=seed,
            seconds=progress.seconds,
        )


def _told(
    selection: Any, em: Any, posterior: Any, comparison: Any, partition: Any, how_many: Any, form: str
) -> str:
    if form == "json":
        content = {
            "selection": selection_records(selection),
            "comparison": json.loads(comparison.to_json()),
            "partition": json.loads(partition.to_json()),
            "how_many": how_many.record(),
        }
        return json.dumps(content, indent=1)
    if form == "csv":
        return _as_csv(comparison, partition)
    if form == "md":
        return "\n\n".join(part.to_markdown().rstrip("\n") for part in (how_many, comparison, partition))
    from bayesgmm.report import words

    result = em if posterior is None else posterior
    certainty = words.certainty(em, posterior)
    said = [
        *words.choice(selection)[1:],
        *words.sizes(em, posterior),
        words.doubt(result, result.predict_proba()),
        certainty[0] if posterior is None else certainty[-1],
        words.NOT_KINDS,
    ]
    parts = [selection, how_many, result, comparison, partition]
    return "\n\n".join([*map(repr, parts), "\n".join(filter(None, said))])


def _as_csv(comparison: Any, partition: Any) -> str:
    """The table of fits, with the partition on the line of the fit that it comes from: the last."""
    from bayesgmm.posterior.partition_record import partition_columns

    table = comparison.table.copy()
    for name, value in partition_columns(partition).items():
        table[name] = [*[None] * (len(table) - 1), value]
    return table.to_csv(lineterminator="\n").rstrip("\n")
