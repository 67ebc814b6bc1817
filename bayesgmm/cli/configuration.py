"""``--config FILE``: what is long to type, from a TOML file with a table for each command."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click


def config_option(function: Any) -> Any:
    """The option; what it reads stands in for options that were not given."""
    return click.option(
        "--config",
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_read,
        help="TOML: a table for each command, its options as keys; the command line wins.",
    )(function)


def _read(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if path is None or context.resilient_parsing:
        return
    tables = _parsed(path)
    commands = _commands(context)
    _refuse_unknown(tables, commands, f"{path}: expected tables named for commands")
    for command, values in tables.items():
        if not isinstance(values, dict):
            raise click.UsageError(f"{path}: expected the table [{command}]; got {command} = {values!r}.")
    own = tables.get(context.command.name or "", {})
    keys = {_key(parameter): parameter for parameter in context.command.params if parameter.name != "config"}
    _refuse_unknown(own, keys, f"{path}, [{context.command.name}]: expected options")
    for key, value in own.items():
        _refuse_other_types(keys[key], value, f"{path}, [{context.command.name}]")
    context.default_map = {keys[key].name or key: value for key, value in own.items()}


def _parsed(path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"The configuration {path!r} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The configuration {path!r} is no TOML: {error}.") from error


def _commands(context: click.Context) -> dict[str, Any]:
    group = context.find_root().command
    return dict(group.commands) if isinstance(group, click.Group) else {context.command.name or "": None}


def _key(parameter: click.Parameter) -> str:
    """An option's long name without dashes, an argument's own."""
    long = [name for name in parameter.opts if name.startswith("--")]
    return long[0].removeprefix("--") if long else parameter.name or ""


def _refuse_other_types(parameter: click.Parameter, value: Any, where: str) -> None:
    """Whole numbers are not made from others, nor from text."""
    if isinstance(parameter.type, click.types.IntParamType) and type(value) is not int:
        raise click.UsageError(f"{where}: expected {_key(parameter)} to be a whole number; got {value!r}.")


def _refuse_unknown(given: dict[str, Any], known: dict[str, Any], expected: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(known)}."
            raise click.UsageError(f"{expected}; got {key!r}.{hint}")
