"""Results in one netCDF file each, without pickle: ``result.save(path)`` and ``bayesgmm.load(path)``.

A file holds the ArviZ groups of a posterior where there is one, so that xarray, ArviZ and ncdump read it, and a group
``bayesgmm``: a plain description in JSON of which of our classes the result is made of and with which fields, and the
arrays among them. Reading looks names up in a fixed list; nothing in a file is ever executed.

- ``result_file``: ``save`` and ``load``, and what a loaded result must satisfy.
- ``description``: objects to plain descriptions and back.
- ``parts``: which classes a file may name.
- ``sealed``: whole files or none: atomic writing, the checksum, and what is refused before anything is read.
"""

from bayesgmm.io.result_file import load, save

__all__ = ["load", "save"]
