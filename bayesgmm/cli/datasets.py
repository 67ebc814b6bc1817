"""``bayesgmm datasets``: what is bundled."""

from __future__ import annotations

import textwrap

import click


@click.command()
def datasets() -> None:
    """List the bundled data sets."""
    from bayesgmm.datasets import list_datasets

    found = list_datasets()
    width = max(map(len, found)) + 2
    for name, text in found.items():
        lines = textwrap.wrap(text, 98 - width)
        click.echo(f"{name:<{width}}{lines[0]}")
        for line in lines[1:]:
            click.echo(" " * width + line)
