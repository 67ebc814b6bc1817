"""Traced programs kept on disk, beside the compiled ones of JAX's own cache.

That cache spares a fresh process the compiling of a program but not the tracing and lowering that lead there, which
are then most of what a first fit waits for. Kept here is JAX's export of a program (StableHLO), and how its result is
put together. It is found by all that made it: this package's source, the versions of the packages below it, JAX's
settings, and the arguments' structure, types and shapes. A program that holds anything from elsewhere, such as a
prior class of the user's own, is traced anew in every process, since nobody would notice if that code had changed.

The files are pickles in a folder that holds native code already: it must be the user's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import pickle
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.tree_util import PyTreeDef

from bayesgmm.compilation_cache import settings

PACKAGE = __name__.partition(".")[0]
BELOW = ("jax", "jaxlib", "numpyro", "numpy", "optax")  # whose code takes part in tracing
KNOWN = {PACKAGE, *BELOW, "builtins", "collections"}
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.dtype)

folder: Path | None = None  # where programs are kept, if they are


class Unknown(TypeError):
    """A value cannot be told apart from all others in every process."""


def keep_in(path: Path) -> None:
    """Keep traced programs in a folder from now on, and look for them there."""
    global folder
    folder = path


def kept(
    function: Callable[..., Any], about: Any, arrays: Sequence[jax.ShapeDtypeStruct]
) -> tuple[Callable[..., list], PyTreeDef] | None:
    """A traced function of the same arrays, which is to be jitted, and how the leaves that it returns are put together.

    ``about`` is what the function was made from. None where it cannot be kept.
    """
    assert folder is not None
    try:
        told = spelled((function.__module__, function.__qualname__, about, [str(a) for a in arrays]))
    except Unknown:
        return None
    under = settings()
    if under.get("jax_default_device") is not None:  # an export is for the platform that is used otherwise
        return None
    key = hashlib.sha256(f"{source()} {jax.default_backend()} {under} {told}".encode()).hexdigest()[:32]
    path = folder / f"{function.__name__.strip('_')}-{key}"
    found = _read(path)
    if found is None:
        found = _export(function, arrays)
        if found is not None:
            _write(path, found)
    return None if found is None else (jax.export.deserialize(bytearray(found[0])).call, found[1])


def _export(
    function: Callable[..., Any], arrays: Sequence[jax.ShapeDtypeStruct]
) -> tuple[bytes, PyTreeDef] | None:
    structure: list[PyTreeDef] = []

    @functools.wraps(function)
    def flat(*arrays: Any) -> list:
        leaves, tree = jax.tree.flatten(function(*arrays))
        structure.append(tree)
        return leaves

    try:
        return bytes(jax.export.export(jax.jit(flat))(*arrays).serialize()), structure[0]
    except (ValueError, NotImplementedError):  # a call into a library that JAX does not promise to keep, say
        return None


def _read(path: Path) -> tuple[bytes, PyTreeDef] | None:
    try:
        return pickle.loads(path.read_bytes())
    except Exception:  # missing, cut short or damaged: it is traced and written anew
        return None


def _write(path: Path, found: tuple[bytes, PyTreeDef]) -> None:
    """Written beside itself and renamed; a folder that takes nothing more is no reason to stop."""
    beside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(pickle.dumps(found))
        os.replace(beside, path)


@functools.cache
def source() -> str:
    """A short name for this package's source and the versions of the packages below it."""
    found = hashlib.sha256(str([version(name) for name in BELOW]).encode())
    for place, folders, files in os.walk(Path(__file__).parent, followlinks=True):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                found.update(name.encode() + Path(place, name).read_bytes())
    return found.hexdigest()


def spelled(value: Any) -> str:
    """A value in words that tell it from all others in every process; Unknown where there are none."""
    if isinstance(value, PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, type) or _is_function(value):
        return _named(value)
    if isinstance(value, PyTreeDef):
        node = value.node_data()
        return f"[{'leaf' if node is None else spelled(node)}: {spelled(value.children())}]"
    if isinstance(value, tuple | list):
        parts: Any = value
    elif isinstance(value, dict):
        parts = list(value.items())
    elif dataclasses.is_dataclass(value):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        raise Unknown(f"Expected a value that is the same in every process; got {value!r}.")
    return f"{_named(type(value))}({', '.join(map(spelled, parts))})"


def _is_function(value: Any) -> bool:
    return hasattr(value, "__code__") and value.__closure__ is None


def _named(thing: Any) -> str:
    """The full name of a class or function of this package or of those below it."""
    if thing.__module__.partition(".")[0] not in KNOWN or "<" in thing.__qualname__:
        raise Unknown(f"Expected something of {PACKAGE}'s; got {thing!r}.")
    return f"{thing.__module__}.{thing.__qualname__}"
