"""Traced programs on disk: the same numbers without tracing, and never another program's."""

import dataclasses
import pickle
import subprocess
import sys

import jax
import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import models, traced_programs
from bayesgmm.covariances import get_structure
from bayesgmm.traced_programs import Unknown, spelled

FIT = """
import sys, jax, numpy as np, bayesgmm as bg
from bayesgmm import models
traced = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, fun_name="", **rest: traced.append(fun_name) if event.endswith("jaxpr_trace_duration") else None
)
if len(sys.argv) > 2:
    bg.enable_compilation_cache(sys.argv[2])
fit = bg.fit("faithful", models.finite_mixture(2), bg.CAVI(n_init=2, moves=0), random_state=0)
np.savez(sys.argv[1], means=fit.means, covariances=fit.covariances, traced=np.array(traced, str))
"""


def fitted(tmp_path, name, *cache):
    """What a process of its own finds, and the names of what it traced."""
    out = tmp_path / f"{name}.npz"
    subprocess.run([sys.executable, "-c", FIT, str(out), *map(str, cache)], check=True)
    with np.load(out) as file:
        return {key: file[key] for key in file.files}


@pytest.mark.slow
def test_a_second_process_traces_nothing_of_ours_and_finds_the_same_to_the_bit(tmp_path):
    cache = tmp_path / "cache"
    first, second = fitted(tmp_path, "first", cache), fitted(tmp_path, "second", cache)
    kept = {path.name.rpartition("-")[0] for path in (cache / "traced").iterdir()}
    assert "advance" in kept
    assert kept <= {name.strip("_") for name in first["traced"]}
    assert not kept & {name.strip("_") for name in second["traced"]}
    for name in ("means", "covariances"):
        np.testing.assert_array_equal(first[name], second[name])
    without = fitted(tmp_path, "without")
    np.testing.assert_allclose(without["means"], first["means"], rtol=1e-9)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(traced_programs, "folder", tmp_path / "traced")
    return tmp_path / "traced"


def fit(**changes):
    model = models.finite_mixture(2, **changes)
    return bg.fit("faithful", model, bg.EM(n_init=2, moves=0, objective="posterior"), random_state=0)


@pytest.fixture
def program():
    """A function as if of this package."""

    def doubled(*arrays):
        return {"twice": [2 * a for a in arrays]}

    doubled.__module__, doubled.__qualname__ = "bayesgmm.kernel", "doubled"
    return doubled


SHAPES = (jax.ShapeDtypeStruct((3,), np.dtype("float32")),)


def check(found):
    """What was kept doubles three numbers."""
    call, structure = found
    out = jax.tree.unflatten(structure, jax.jit(call)(np.arange(3, dtype="float32")))
    np.testing.assert_array_equal(out["twice"][0], [0, 2, 4])


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"junk"]
)
def test_a_damaged_file_is_written_anew(folder, program, damage):
    check(traced_programs.kept(program, (), SHAPES))
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    check(traced_programs.kept(program, (), SHAPES))
    assert len(path.read_bytes()) == len(whole)
    assert list(folder.iterdir()) == [path]


def test_programs_of_other_source_settings_or_arguments_are_not_taken(folder, program, monkeypatch):
    def n_kept(about=(), shapes=SHAPES):
        check(traced_programs.kept(program, about, shapes))
        return len(list(folder.iterdir()))

    assert n_kept() == 1
    assert n_kept() == 1
    with jax.default_matmul_precision("highest"):
        assert n_kept() == 2
    assert n_kept((2,)) == 3
    traced_programs.kept(program, (), SHAPES * 2)
    assert n_kept() == 4
    monkeypatch.setattr(traced_programs, "source", lambda: "edited")
    assert n_kept() == 5


def test_where_another_device_is_chosen_nothing_is_kept(folder, program):
    with jax.default_device(jax.devices()[0]):
        assert traced_programs.kept(program, (), SHAPES) is None


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(traced_programs, "folder", tmp_path / "file")
    assert fit().status.ok


@dataclasses.dataclass(frozen=True)
class Mine:
    """A value of a user's."""

    number: int = 1


@pytest.mark.parametrize(
    "value", [Mine(), Mine, lambda: None, object(), {"a": (1, Mine())}, jax.tree.structure({Mine(): 1})]
)
def test_what_is_not_of_this_package_has_no_name(value):
    with pytest.raises(Unknown):
        spelled(value)


def test_names_tell_values_apart():
    full, diag = get_structure("full"), get_structure("diag")
    values = [None, True, 1, 1.0, "1", b"1", (1,), [1], {"a": 1}, {"b": 1}, full, diag, type(full), (full, 1)]
    values += [
        jax.tree.structure(tree)
        for tree in (1, (1, 2), [1, 2], {"a": 1}, {"b": 1}, None, models.finite_mixture(2))
    ]
    names = [spelled(value) for value in values]
    assert len(set(names)) == len(names)
    assert spelled(pickle.loads(pickle.dumps(full))) == spelled(full)


def test_a_users_own_prior_is_traced_as_ever(folder):
    class Prior(models.components.NormalInverseWishart):
        """Code that may change from one process to the next."""

    fit()
    kept = len(list(folder.glob("chunk_of_steps-*")))
    assert fit(components=Prior()).status.ok
    assert kept == len(list(folder.glob("chunk_of_steps-*"))) == 1
