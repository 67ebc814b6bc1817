"""``bayesgmm predict``: the components of new rows under a saved fit."""

from __future__ import annotations

import csv
import io
from typing import Any

import click

from bayesgmm.cli import command
from bayesgmm.cli.progress import shown


@click.command()
@command.data_argument
@command.columns_option
@click.option("--model", metavar="FILE", required=True, help="What 'bayesgmm fit --out' wrote.")
@click.option("--out", metavar="FILE", help="Write the CSV here instead of the standard output.")
@command.computing
def predict(data: str, columns: str | None, model: str, out: str | None) -> None:
    """Each row of DATA: its most probable component, all membership probabilities, and its log density (CSV)."""
    command.check_folder(out)
    with shown() as progress, progress.phase("predicting"):
        from bayesgmm.io import load

        saved = load(model)
        rows = command.read_data(data, columns)
        text = _as_csv(saved.predict_proba(rows), saved.score_samples(rows))
    if out is None:
        click.echo(text, nl=False)
    else:
        command.write_text(out, text)


def _as_csv(probability: Any, log_density: Any) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["row", "component", *(f"p{k}" for k in range(probability.shape[1])), "log_density"])
    for n, (row, value) in enumerate(zip(probability.tolist(), log_density.tolist(), strict=True)):
        writer.writerow([n, max(range(len(row)), key=row.__getitem__), *row, value])
    return file.getvalue()
