"""Seconds by phase."""

from __future__ import annotations

import time


class Clock:
    """Laps of wall-clock time, added up by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, phase: str) -> None:
        """Book the time since the last lap under a name."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self.last
        self.last = now
