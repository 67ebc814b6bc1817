"""A file from which a killed run goes on with the very draws it would have made.

It holds arrays and one line of JSON, no code; it is written beside itself, flushed to the disk and then renamed, so
that a kill at any moment leaves the last whole one. Draws depend on the seed and on the number of a step alone, so
going on from a state is the same as never having stopped. A run that asks for more draws adds to those of a finished
one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from bayesgmm.float64 import is_key
from bayesgmm.inference.problem import Problem

FORMAT = 3
SHARE = 20  # times as long as writing takes, at least, between two writes
PAUSE = 1.0  # seconds between two writes, at least


class Saved(NamedTuple):
    """A run as it was saved: its round, steps done in it, state, all draws so far (steps, chains, ...), and words.

    ``finished`` says whether the round was as long as that run wanted it.
    """

    round: int
    done: int
    finished: bool
    state: Any
    draws: Any
    remarks: tuple[str, ...]


class Checkpoint:
    """The file of one run. ``round`` and ``remarks`` are set by samplers that begin anew on what they have learnt."""

    def __init__(self, path: str | os.PathLike[str], problem: Problem, engine: Any) -> None:
        self.path = Path(path)
        self.identity = _identity(problem, engine)
        self.round = 0
        self.remarks: tuple[str, ...] = ()
        self.next_write = 0.0
        if not self.path.parent.is_dir():
            raise ValueError(f"Expected checkpoint in an existing folder; got {str(self.path)!r}.")

    def keep(self, done: int, last: bool, state: Any, chunks: list[Any]) -> None:
        """Write, unless it was done a moment ago."""
        began = time.monotonic()
        if began < self.next_write and not last:
            return
        draws = jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
        about = {
            **self.identity,
            "round": self.round,
            "done": done,
            "finished": last,
            "remarks": self.remarks,
        }
        arrays = {f"state_{i}": _raw(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        arrays |= {f"draws_{i}": leaf for i, leaf in enumerate(jax.tree.leaves(draws))}
        _write(self.path, {"about": np.array(json.dumps(about)), **arrays})
        took = time.monotonic() - began
        self.next_write = began + max(PAUSE, SHARE * took)

    def load(self, state: Any, draws: Any) -> Saved | None:
        """What the file holds, in the shape of an example of the state and of the draws; None where there is none.

        Raises a ValueError that says what differs where the file is of another run.
        """
        if not self.path.exists():
            return None
        arrays = self._read()
        about = json.loads(str(arrays["about"]))
        for name, (found, expected) in _differences(about, self.identity).items():
            raise ValueError(
                f"Expected a checkpoint of this run in {str(self.path)!r}; it is of another one: its {name} is "
                f"{found}, this run's {expected}. Delete it, or give another path."
            )
        return Saved(
            about["round"],
            about["done"],
            about["finished"],
            _restored(arrays, "state", state),
            _restored(arrays, "draws", draws),
            tuple(about["remarks"]),
        )

    def _read(self) -> dict[str, np.ndarray]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected a checkpoint in {str(self.path)!r}; got something else ({error}). Delete it, or give "
                "another path."
            ) from error


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    beside = path.with_name(path.name + ".part")
    with open(beside, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _raw(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def _restored(arrays: dict[str, np.ndarray], name: str, example: Any) -> Any:
    leaves, treedef = jax.tree.flatten(example)
    raw = [arrays[f"{name}_{i}"] for i in range(len(leaves))]
    typed = [jax.random.wrap_key_data(r) if is_key(leaf) else r for r, leaf in zip(raw, leaves, strict=True)]
    return jax.tree.unflatten(treedef, typed)


def _identity(problem: Problem, engine: Any) -> dict[str, Any]:
    """What makes a run this one and no other."""
    import numpyro

    return {
        "format": FORMAT,
        "engine": _settings(engine),
        "data": _digest(problem.observed.rows, problem.observed.feature_names),
        "model": _digest(problem.model),
        "start": _digest(getattr(problem.start, "mixture", problem.start)),
        "seed": problem.seed,
        "dtype": str(problem.rows.dtype),
        "version of jax": jax.__version__,
        "version of numpyro": numpyro.__version__,
    }


def _settings(engine: Any) -> str:
    """The engine without how long it draws: within a round no draw depends on how many follow it."""
    names = (field.name for field in dataclasses.fields(engine) if field.name != "num_samples")
    return f"{type(engine).__name__}({', '.join(f'{name}={getattr(engine, name)!r}' for name in names)})"


def _digest(*trees: Any) -> str:
    """A short name for the values in some trees."""
    leaves, treedef = jax.tree.flatten(trees)
    found = hashlib.sha256(str(treedef).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        found.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _differences(about: dict[str, Any], identity: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (about.get(name), value) for name, value in identity.items() if about.get(name) != value}
