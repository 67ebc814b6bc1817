"""The group of commands."""

from __future__ import annotations

import click

from bayesgmm.cli.compare import compare
from bayesgmm.cli.completion import completion
from bayesgmm.cli.datasets import datasets
from bayesgmm.cli.fit import fit
from bayesgmm.cli.predict import predict
from bayesgmm.cli.report import report
from bayesgmm.cli.select import select


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"bayesgmm {version('bayesgmm')}")
        except PackageNotFoundError:
            click.echo("bayesgmm (not installed: run from its source)")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def main() -> None:
    """Gaussian mixtures by EM, variational inference and MCMC, with honest uncertainty.

    DATA is a CSV or Parquet file, a bundled data set ('bayesgmm datasets' lists them), or - for CSV text on the
    standard input. Results go to the standard output, progress to the standard error stream. Exit codes: 0 done, 1
    failed, 2 wrong usage or unusable input, 130 interrupted, with what there was by then.

    \b
    bayesgmm compare faithful --report faithful.html
    bayesgmm fit rows.csv -k 3 --out model.nc
    bayesgmm predict new.csv --model model.nc
    bayesgmm report model.nc --out model.html
    """


for command in (compare, select, fit, predict, report, datasets, completion):
    main.add_command(command)
