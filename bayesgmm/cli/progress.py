"""Phases of work on the standard error stream: bars on a terminal; elsewhere lines, now and then and at the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

Advance = Callable[[int, int], None]


class Progress:
    """Shows phases as they run, and remembers their seconds."""

    def __init__(self, bars: Any = None) -> None:
        self.seconds: dict[str, float] = {}
        self._bars = bars

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Advance]:
        """One phase; gives a function of (done, total)."""
        began = time.perf_counter()
        task = None if self._bars is None else self._bars.add_task(name, total=None)
        from bayesgmm.inference.progress import now_and_then

        is_time = now_and_then()

        def advance(done: int, total: int) -> None:
            if self._bars is not None:
                self._bars.update(task, completed=done, total=total)
            elif is_time():
                click.echo(f"{name}: {done} of {total} after {time.perf_counter() - began:.0f} s", err=True)

        yield advance
        took = time.perf_counter() - began
        self.seconds[name] = self.seconds.get(name, 0.0) + took
        if self._bars is None:
            click.echo(f"{name}: {took:.1f} s", err=True)
        else:
            total = self._bars.tasks[task].total or 1
            self._bars.update(task, completed=total, total=total)


@contextlib.contextmanager
def shown() -> Iterator[Progress]:
    """A progress display for the length of a command."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    from bayesgmm.inference.progress import time_columns

    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description:<16}"), BarColumn())
    with Bars(*columns, TaskProgressColumn(), *time_columns(), console=Console(stderr=True)) as bars:
        yield Progress(bars)
