"""The information-criterion sweep as a phase: what ``select`` and ``compare`` begin with."""

from __future__ import annotations

from typing import Any

from bayesgmm.cli.command import read_data, structures_for
from bayesgmm.cli.progress import Progress


def sweep(
    progress: Progress,
    data: str,
    columns: str | None,
    max_components: int,
    structures: tuple[str, ...],
    criterion: str,
    seed: int,
    checkpoint: str | None = None,
) -> Any:
    """Read the rows and fit every model by EM; the selection."""
    with progress.phase("loading"):
        from bayesgmm.criteria.select import select

        rows = read_data(data, columns)
    names = structures_for(rows, structures)
    total = max_components * len(names)
    with progress.phase(f"EM, {total} models") as advance:
        done = 0

        def on_cell(*_: Any) -> None:
            nonlocal done
            done += 1
            advance(done, total)

        return select(
            rows,
            n_components=range(1, max_components + 1),
            covariance_type=names,
            criterion=criterion,
            random_state=seed,
            on_cell=on_cell,
            checkpoint=checkpoint,
        )
