"""What the commands share: options, the compilation cache, errors in one line, exit codes."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from bayesgmm.cli.completion import data_names
from bayesgmm.cli.configuration import config_option

STDIN = "-"
CRITERIA = (
    "bic",
    "aic",
    "aicc",
    "icl",
    "icl_map",
    "nec",
)  # those of criteria.information; --help loads nothing

data_argument = click.argument("data", metavar="DATA", shell_complete=data_names)
columns_option = click.option(
    "--columns", metavar="A,B,...", help="Features to use; x0, x1, ... without header."
)
seed_option = click.option("--seed", default=0, show_default=True, help="The same one gives the same result.")
criterion_option = click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    default="bic",
    show_default=True,
    help="What chooses the model.",
)
most_option = click.option(
    "--max-components", type=click.IntRange(min=1), default=9, show_default=True, help="Try 1 to this many."
)
structures_option = click.option(
    "--covariance-type",
    "structures",
    multiple=True,
    metavar="NAME",
    help="full, tied, ...; repeatable; all if left out.",
)
format_option = click.option(
    "--format", "form", type=click.Choice(("table", "json", "csv", "md")), default="table", show_default=True
)
debug_option = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
cache_option = click.option(
    "--no-cache", is_flag=True, help="Do not keep compiled programs for the next run."
)


def computing(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command that computes: cached compilations, and errors told in one line."""

    @config_option
    @debug_option
    @cache_option
    @functools.wraps(function)
    def run(*args: Any, debug: bool, no_cache: bool, **options: Any) -> None:
        with told_in_one_line(debug):
            if not no_cache:
                _keep_compilations()
            function(*args, **options)

    return run


class Unusable(click.ClickException):
    """Input that cannot be used; other failures exit with 1."""

    exit_code = 2


@contextlib.contextmanager
def told_in_one_line(debug: bool) -> Iterator[None]:
    """Exit with 2 for input that cannot be used, 1 for what failed, and one line that says why."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if debug:
            raise
        unusable = isinstance(error, ValueError | TypeError | FileNotFoundError | IsADirectoryError)
        text = " ".join(_words(error).split()) or type(error).__name__
        text += " (Here that is --columns A,B,...)" * ("columns=[" in text)
        raise (
            Unusable(text) if unusable else click.ClickException(f"{text} (--debug shows where)")
        ) from error


def _words(error: Exception) -> str:
    """An error's message; the system's without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename!r}"
    return str(error)


def _keep_compilations() -> None:
    from bayesgmm.compilation_cache import enable_compilation_cache

    try:
        enable_compilation_cache()
    except ValueError as error:
        click.echo(f"no compilation cache: {error}", err=True)


def read_data(source: str, columns: str | None) -> Any:
    """The rows of a file or of a bundled data set, or for ``-`` of CSV text on the standard input."""
    from bayesgmm.data import as_data

    chosen = None if columns is None else [name.strip() for name in columns.split(",")]
    if source != STDIN:
        return as_data(source, columns=chosen)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin.csv"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return as_data(path, columns=chosen)


def structures_for(data: Any, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The structures asked for, else all that differ: of one feature, most are the same model."""
    from bayesgmm.covariances import STRUCTURES, get_structure

    if chosen:
        return tuple(get_structure(name).name for name in chosen)
    sizes = {  # two numbers of components: for one alone, sizes can agree by chance
        name: [structure.n_parameters(k, data.n_features) for k in (2, 3)]
        for name, structure in STRUCTURES.items()
    }
    return tuple(name for i, name in enumerate(sizes) if sizes[name] not in list(sizes.values())[:i])


def check_folder(path: str | None) -> None:
    """Refuse a path that could not be written to, before hours of computing."""
    if path is not None:
        target = Path(path).expanduser().absolute()
        if not target.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {str(target.parent)!r} to write {target.name!r} to.")
        if target.is_dir():
            raise IsADirectoryError(f"Expected a file to write to; {str(target)!r} is a folder.")


def write_text(path: str, text: str) -> None:
    """Write a file, and say so."""
    target = Path(path).expanduser()
    target.write_text(text, encoding="utf-8")
    click.echo(f"wrote {target}", err=True)
