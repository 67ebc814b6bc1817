"""Fits below what they contain: K components can do whatever fewer can, so a search that ends lower fell short."""

from __future__ import annotations

from collections.abc import Mapping

from bayesgmm.inference.em.result import EMResult

MARGIN = 1e-6  # nats a row: what a climb may leave

Cell = tuple[str, int]


def shortfalls(fits: Mapping[Cell, EMResult]) -> dict[Cell, str]:
    """Cells of maximum likelihood that end below fewer components of the same structure, and that in words."""
    out = {}
    for (name, k), fit in fits.items():
        fewer = [other for cell, other in fits.items() if cell[0] == name and cell[1] < k]
        if not fewer or fit.engine.objective != "likelihood":
            continue
        highest = max(fewer, key=lambda other: other.log_likelihood)
        if fit.log_likelihood < highest.log_likelihood - MARGIN * fit.n_rows:
            out[name, k] = (
                f"its log-likelihood is below that of K = {highest.n_components}, which it contains: its search "
                "fell short. Use more starts (n_init) or moves."
            )
    return out
