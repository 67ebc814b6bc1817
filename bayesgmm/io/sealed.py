"""Whole files or none: written aside and renamed, with a checksum at the end that is looked at before anything else.

The checksum follows the HDF5 content, which ends where its own header says, so other programs read the file as usual.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MARK = b"\nbayesgmm sha256 "
SEAL = len(MARK) + 64 + 1
PIECE = 1 << 20
DECLARED = (
    2  # bytes that a file may declare for each that it has: netCDF declares dimensions without storing them
)


def write_sealed(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file aside by ``write``, seal it, and put it in the place of what was there.

    Killed at any moment, it leaves the old file whole.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        write(aside)
        with open(aside, "r+b") as file:
            digest = _digest(file, os.path.getsize(aside))
            file.seek(0, os.SEEK_END)
            file.write(MARK + digest.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _remember_name(path.parent)


def _remember_name(folder: Path) -> None:
    """Make the renaming last through a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _digest(file: Any, size: int) -> str:
    """SHA-256 of the first ``size`` bytes."""
    file.seek(0)
    digest = hashlib.sha256()
    while size > 0:
        piece = file.read(min(PIECE, size))
        digest.update(piece)
        size -= len(piece) or size
    return digest.hexdigest()


def check_seal(path: Path) -> None:
    """Raise a ValueError that says what a file is, if it is not one of ours as it was written."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError("it is no netCDF file" if size else "it is empty")
        file.seek(max(0, size - SEAL))
        seal = file.read()
        if not seal.startswith(MARK):
            raise ValueError(
                "its checksum is missing: it was cut short, changed since, or written by another program"
            )
        if seal != MARK + _digest(file, size - SEAL).encode() + b"\n":
            raise ValueError("it is damaged: its content does not fit its checksum. Fetch it again")


def check_content(path: Path) -> None:
    """Raise a ValueError for HDF5 that reaches outside the file or unfolds to more than it: ours does neither.

    A checksum proves that a file is as it was written, not who wrote it.
    """
    import h5py

    with h5py.File(path, "r") as file:
        declared = sum(map(_declared_bytes, _datasets(file)))
    if declared > DECLARED * path.stat().st_size:
        raise ValueError("it declares more numbers than it holds")


def _datasets(root: Any) -> list[Any]:
    """Every dataset of a file; links elsewhere are refused, and groups are entered once."""
    import h5py

    found, seen, groups = [], set(), [root]
    while groups:
        group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name!r} in it is a link")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                found.append(item)
            else:
                raise ValueError(f"{name!r} in it is neither group nor variable")
    return found


def _declared_bytes(dataset: Any) -> int:
    import h5py

    settings = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual or settings.get_nfilters():
        raise ValueError(f"{dataset.name!r} in it is compressed or stored elsewhere")
    if dataset.dtype.kind not in "biufS" and h5py.check_string_dtype(dataset.dtype) is None:
        raise ValueError(f"{dataset.name!r} in it holds neither numbers nor text")
    return int(dataset.nbytes)
