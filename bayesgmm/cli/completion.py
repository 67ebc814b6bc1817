"""``bayesgmm completion``: the script by which a shell completes commands, options and data sets."""

from __future__ import annotations

from typing import Any

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bayesgmm completion bash >> ~/.bashrc
    bayesgmm completion zsh >> ~/.zshrc
    bayesgmm completion fish > ~/.config/fish/completions/bayesgmm.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    group = click.get_current_context().find_root().command
    click.echo(kind(group, {}, "bayesgmm", "_BAYESGMM_COMPLETE").source())


def data_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[Any]:
    """What DATA may be: bundled data sets, else files."""
    from click.shell_completion import CompletionItem

    from bayesgmm.datasets import DESCRIPTIONS

    found = [CompletionItem(name) for name in DESCRIPTIONS if name.startswith(begun)]
    return found or [CompletionItem(begun, type="file")]
