"""Progress of long work, on the standard error stream."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

Reporter = Callable[[str, int, int], None]
EVERY = 10.0  # seconds between two lines, where there is no terminal to draw bars on


@contextlib.contextmanager
def progress_reporter(progress: bool | Reporter) -> Iterator[Reporter | None]:
    """A function of (phase, done, total): the caller's own, a bar a phase, or None."""
    if progress is False or progress is None:
        yield None
    elif callable(progress):
        yield progress
    else:
        with _bars() as report:
            yield report


@contextlib.contextmanager
def _bars() -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), *time_columns())
    console, is_time = Console(stderr=True), now_and_then()
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)
            if not (console.is_terminal or console.is_jupyter) and is_time():
                console.print(f"{phase}: {done} of {total}")

        yield report


def now_and_then() -> Callable[[], bool]:
    """A function that is true when :data:`EVERY` seconds are over since it was last."""
    last = time.monotonic()

    def is_time() -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last < EVERY:
            return False
        last = now
        return True

    return is_time


def time_columns() -> tuple[Any, ...]:
    """Time taken, steps a second, and time remaining at that rate."""
    from rich.progress import ProgressColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second of late, or over all once finished."""

        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.4g}/s", style="progress.data.speed")

    return TimeElapsedColumn(), Rate(), TimeRemainingColumn()
