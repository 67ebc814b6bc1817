"""``bayesgmm select``: the information-criterion sweep."""

from __future__ import annotations

import json
from typing import Any

import click

from bayesgmm.cli import command
from bayesgmm.cli.progress import shown
from bayesgmm.cli.sweep import sweep


@click.command()
@command.data_argument
@command.columns_option
@command.most_option
@command.structures_option
@command.criterion_option
@command.seed_option
@click.option(
    "--checkpoint", metavar="FOLDER", help="Keep finished fits there; called again, fit what is missing."
)
@command.format_option
@command.computing
def select(
    data: str,
    columns: str | None,
    max_components: int,
    structures: tuple[str, ...],
    criterion: str,
    seed: int,
    checkpoint: str | None,
    form: str,
) -> None:
    """Rank mixtures of DATA by an information criterion, fitted by EM."""
    with shown() as progress:
        selection = sweep(progress, data, columns, max_components, structures, criterion, seed, checkpoint)
    click.echo(_told(selection, form))


def _told(selection: Any, form: str) -> str:
    if form == "json":
        return json.dumps(selection_records(selection), indent=1)
    if form == "csv":
        return selection.table.to_csv(index=False, lineterminator="\n").rstrip("\n")
    if form == "md":
        from bayesgmm.report.sections import ranking
        from bayesgmm.tables import markdown_table

        table = ranking(selection, len(selection.fits))
        return markdown_table(table.header, table.rows)
    return repr(selection)


def selection_records(selection: Any) -> list[dict[str, Any]]:
    """The sweep's table as plain records, null where a fit failed."""
    return json.loads(selection.table.to_json(orient="records", double_precision=15))
