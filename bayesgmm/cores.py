"""How many compiled programs may run side by side from threads of ours."""

from __future__ import annotations

import os


def programs_at_once(most: int | None = None) -> int:
    """One fewer than XLA has threads, at least one, and at most ``most``.

    A running program holds one of XLA's threads and hands parts of its work to the others: where every thread is
    held (seen with jaxlib 0.10), each program waits for the rest for ever.
    """
    held = max(1, _threads() - 1)
    return held if most is None else min(held, most)


def _threads() -> int:
    """Threads of XLA's pool: the cores of this process, unless NPROC says otherwise."""
    wanted = os.environ.get("NPROC", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
