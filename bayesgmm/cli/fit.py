"""``bayesgmm fit``: one model by one engine."""

from __future__ import annotations

from typing import Any

import click

from bayesgmm.cli import command
from bayesgmm.cli.progress import shown
from bayesgmm.inference.engines import AUTO, ENGINES, engine_class

INTERRUPTED = 130  # exit code of what Ctrl-C ended, here with a result


@click.command()
@command.data_argument
@command.columns_option
@click.option("-k", "--components", type=click.IntRange(min=1), required=True, help="Number of components.")
@click.option("--covariance-type", metavar="NAME", default="full", show_default=True)
@click.option("--engine", type=click.Choice((*ENGINES, AUTO)), default="em", show_default=True)
@click.option(
    "--chains", type=click.IntRange(min=1), default=4, show_default=True, help="Chains of a sampler."
)
@click.option(
    "--samples",
    type=click.IntRange(min=4),
    default=1000,
    show_default=True,
    help="Draws a chain of a sampler.",
)
@command.seed_option
@click.option("--standard-errors", is_flag=True, help="Print the standard errors of an EM fit too.")
@click.option(
    "--out", metavar="FILE", help="Write the fit (netCDF), for 'bayesgmm predict' and bayesgmm.load."
)
@command.computing
def fit(
    data: str,
    columns: str | None,
    components: int,
    covariance_type: str,
    engine: str,
    chains: int,
    samples: int,
    seed: int,
    standard_errors: bool,
    out: str | None,
) -> None:
    """Fit a mixture of a given number of components to DATA."""
    command.check_folder(out)
    with shown() as progress:
        with progress.phase("loading"):
            from bayesgmm.inference.fit import fit as fit_model
            from bayesgmm.models import finite_mixture

            rows = command.read_data(data, columns)
        chosen = _engine(engine, chains, samples)
        if standard_errors and not hasattr(chosen, "objective"):  # what has none ends at no maximum
            raise click.UsageError(
                f"--standard-errors are those of a maximum (--engine em); {engine} prints the posterior's own spread."
            )
        with progress.phase(engine.upper()) as advance:
            model = finite_mixture(components, covariance_type)
            result = fit_model(
                rows, model, chosen, random_state=seed, progress=lambda _, *done: advance(*done)
            )
        text = repr(result)
    click.echo(text)
    if out is not None:
        result.save(out)
        click.echo(f"wrote {out}", err=True)
    status = getattr(result, "status", None)  # samplers have none: what they kept is in their diagnostics
    if status is not None and status.name == "INTERRUPTED":
        raise click.exceptions.Exit(INTERRUPTED)
    if standard_errors:
        click.echo(f"\n{result.standard_errors()!r}")


def _engine(name: str, chains: int, samples: int) -> Any:
    """The engine of that name; that a pilot is to choose one is left for ``fit`` to resolve."""
    if name == AUTO:
        return name
    kind = engine_class(name)
    return kind(num_chains=chains, num_samples=samples) if hasattr(kind, "num_chains") else kind()
