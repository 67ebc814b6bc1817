"""The bundled data sets: small, published, and loaded without a network."""

from __future__ import annotations

import difflib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

DESCRIPTIONS = {
    "faithful": "272 x 2: eruptions of the Old Faithful geyser, their length and the wait for the next, in minutes "
    "(Azzalini & Bowman 1990, Applied Statistics 39)",
    "galaxies_26.96": "82 x 1: velocities of galaxies in the Corona Borealis region, in 1000 km/s; row 78 is 26.96, as "
    "in most papers (Roeder 1990, JASA 85)",
    "galaxies_26.69": "82 x 1: the same velocities, in 1000 km/s; row 78 is 26.69, as in today's R package "
    "MASS (Roeder 1990, JASA 85)",
    "penguins": "342 x 4: bill, flipper and body mass of Adelie, chinstrap and gentoo penguins, in mm and g "
    "(Gorman, Williams & Fraser 2014, PLoS ONE 9)",
}


def list_datasets() -> dict[str, str]:
    """The name of every bundled data set, with one line that says its size, its meaning and its source."""
    return dict(DESCRIPTIONS)


def load_dataset(name: str) -> pandas.DataFrame:
    """A bundled data set as a pandas DataFrame; ``list_datasets`` names them all.

    Raises ``ValueError`` for an unknown name, with the closest ones, and for ``galaxies``, of which two versions
    circulate.

    >>> load_dataset("faithful").shape
    (272, 2)
    """
    if name not in DESCRIPTIONS:
        raise ValueError(unknown_dataset(name))
    with files("bayesgmm.datasets").joinpath(f"{name}.csv").open("rb") as file:
        return read_csv(file)


def read_csv(file: Any, **options: Any) -> pandas.DataFrame:
    """``pandas.read_csv`` with every number rounded correctly: the default since pandas 3.1, an option before."""
    import pandas

    if tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1):
        options["float_precision"] = "round_trip"
    return pandas.read_csv(file, **options)


def unknown_dataset(name: object) -> str:
    """The message for a name that is not a bundled data set."""
    if isinstance(name, str) and name.lower() in ("galaxies", "galaxy"):
        return (
            "Two versions of the galaxies data circulate, and published numbers differ with them: row 78 is 26.960 in "
            "the one most papers used and 26.690 in today's MASS. Ask for 'galaxies_26.96' or 'galaxies_26.69'."
        )
    close = difflib.get_close_matches(str(name).lower(), DESCRIPTIONS, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"Expected a bundled data set, one of {', '.join(DESCRIPTIONS)}; got {name!r}.{hint}"
