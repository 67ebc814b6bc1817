"""``bayesgmm fit``: one model by one engine."""

from __future__ import annotations

import click

from bayesgmm.cli import command
from bayesgmm.cli.progress import shown


@click.command()
@command.data_argument
@command.columns_option
@click.option("-k", "--components", type=click.IntRange(min=1), required=True, help="Number of components.")
@click.option("--covariance-type", metavar="NAME", default="full", show_default=True)
@click.option("--engine", type=click.Choice(("em", "nuts")), default="em", show_default=True)
@click.option("--chains", type=click.IntRange(min=1), default=4, show_default=True, help="Chains of NUTS.")
@click.option("--samples", type=click.IntRange(min=4), default=1000, show_default=True, help="Draws a chain.")
@command.seed_option
@click.option("--out", metavar="FILE", help="Write the fit as JSON, for 'bayesgmm predict'.")
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
    out: str | None,
) -> None:
    """Fit a mixture of a given number of components to DATA."""
    command.check_folder(out)
    with shown() as progress:
        with progress.phase("loading"):
            from bayesgmm.inference.em import EM
            from bayesgmm.inference.fit import fit as fit_model
            from bayesgmm.inference.nuts import NUTS
            from bayesgmm.models import finite_mixture

            rows = command.read_data(data, columns)
        chosen = EM() if engine == "em" else NUTS(num_chains=chains, num_samples=samples)
        with progress.phase(engine.upper()) as advance:
            model = finite_mixture(components, covariance_type)
            result = fit_model(
                rows, model, chosen, random_state=seed, progress=lambda _, *done: advance(*done)
            )
        text = repr(result)
    click.echo(text)
    if out is not None:
        from bayesgmm.cli.saved import to_json

        command.write_text(out, to_json(result))
