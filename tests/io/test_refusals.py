"""What ``load`` refuses: damaged, foreign and hostile files; and a save that is killed harms nothing."""

import importlib.util
import json
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import small_fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bayesgmm as bg
from bayesgmm.io import sealed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("whole") / "fit.nc"
    small_fits.em("faithful").save(path)
    return path.read_bytes()


def refused(path, content, words=""):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="to be a file written by bayesgmm") as error:
        bg.load(path)
    assert words in str(error.value)


anywhere = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(share=st.floats(0.0, 1.0, exclude_max=True))
@anywhere
def test_truncated_files_are_refused(share, whole, tmp_path):
    refused(tmp_path / "cut.nc", whole[: int(share * len(whole))])


@given(share=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
@anywhere
def test_a_flipped_bit_is_noticed_wherever_it_is(share, bit, whole, tmp_path):
    content = bytearray(whole)
    content[int(share * len(whole))] ^= 1 << bit
    refused(tmp_path / "flipped.nc", bytes(content))


def test_foreign_files_are_refused_in_words(tmp_path):
    import pickle

    import xarray

    path = tmp_path / "foreign.nc"
    refused(path, b"", "it is empty")
    refused(path, b"row,component\n0,1\n", "no netCDF file")
    refused(path, pickle.dumps({"format": "bayesgmm result"}), "no netCDF file")
    xarray.Dataset({"a": ("x", np.arange(3.0))}).to_netcdf(path, engine="h5netcdf")
    refused(path, path.read_bytes(), "written by another program")
    sealed.write_sealed(path, lambda aside: xarray.Dataset({"a": 1.0}).to_netcdf(aside, engine="h5netcdf"))
    refused(path, path.read_bytes(), "holds no result")


def tampered(whole, path, change):
    """A file whose content was changed and whose checksum is right."""

    def write(aside):
        aside.write_bytes(whole[: -sealed.SEAL])
        with h5py.File(aside, "r+") as file:
            change(file)

    sealed.write_sealed(path, write)
    return path.read_bytes()


def edited(edit):
    """A change of the description."""

    def change(file):
        content = json.loads(file["bayesgmm/description"][()])
        edit(content)
        file["bayesgmm/description"][()] = json.dumps(content)

    return change


def node(*path):
    """A change that puts the last of the arguments at a place of the description."""
    *path, value = path

    def edit(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return edited(edit)


FIELDS = ("result", "fields")
SHELL = {"class": "os.system", "fields": {"command": "touch pwned"}}
DEEP = json.loads("[" * 400 + "]" * 400)


def array(name, value):
    def change(file):
        file[f"bayesgmm/result.{name}"][...] = value

    return change


def replaced(name, make):
    def change(file):
        del file[f"bayesgmm/result.{name}"]
        make(file["bayesgmm"], f"result.{name}")

    return change


def virtual(group, name):
    layout = h5py.VirtualLayout((272, 2), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (272, 2))
    group.create_virtual_dataset(name, layout)


ROWS_SHAPE = {"shape": (272, 2), "dtype": "f8"}
HOSTILE = {
    "a class of another module": (node(*FIELDS, "engine", SHELL), "does not have"),
    "a function of ours": (node(*FIELDS, "engine", {"class": "fit", "fields": {}}), "does not have"),
    "a private class": (node(*FIELDS, "engine", {"class": "__builtins__", "fields": {}}), "does not have"),
    "a class where text should be": (
        node(*FIELDS, "engine", {"class": ["EM"], "fields": {}}),
        "does not have",
    ),
    "an unknown field": (node(*FIELDS, "engine", "fields", "hook", "x"), "has no field 'hook'"),
    "a wrong setting": (node(*FIELDS, "engine", "fields", "n_init", -1), "n_init"),
    "an engine that is none": (
        node(*FIELDS, "engine", {"enum": "Status", "member": "CONVERGED"}),
        "no engine",
    ),
    "no result at all": (node("result", 3), "is no result"),
    "a member that is none": (node(*FIELDS, "status", {"enum": "Status", "member": "mro"}), "KeyError"),
    "an array that is not there": (node(*FIELDS, "history", {"array": "/etc/passwd"}), "KeyError"),
    "a structure that is none": (
        node(*FIELDS, "mixture", "fields", "structure", {"structure": "x"}),
        "one of",
    ),
    "endless nesting": (node(*FIELDS, "degeneracies", DEEP), ""),
    "a later version": (node("version", 2), "upgrade"),
    "another format": (node("format", "x"), "does not say"),
    "not JSON": (lambda f: f["bayesgmm/description"].__setitem__((), "__import__('os')"), ""),
    "a covariance that is none": (array("mixture.covariances", -np.eye(2)), "positive definite"),
    "NaN weights": (array("mixture.log_weights", np.nan), "no mixture has"),
    "no component present": (array("mixture.log_weights", -np.inf), "no mixture has"),
    "rows that are not numbers": (array("observed.rows", np.nan), "finite"),
    "a scale of zero": (array("standardisation.scale", 0.0), "standardisation"),
    "a link to another file": (
        replaced("observed.rows", lambda g, n: g.__setitem__(n, h5py.ExternalLink("/etc/passwd", "/"))),
        "is a link",
    ),
    "a link within": (
        replaced("observed.rows", lambda g, n: g.__setitem__(n, h5py.SoftLink("/bayesgmm"))),
        "is a link",
    ),
    "bytes of another file": (
        replaced(
            "observed.rows",
            lambda g, n: g.create_dataset(n, **ROWS_SHAPE, external=[("/etc/passwd", 0, 4352)]),
        ),
        "stored elsewhere",
    ),
    "a view of another file": (replaced("observed.rows", virtual), "stored elsewhere"),
    "a small file that unfolds": (
        replaced("observed.rows", lambda g, n: g.create_dataset(n, (10**9,), "f8", compression="gzip")),
        "compressed",
    ),
    "a large hole": (
        replaced("observed.rows", lambda g, n: g.create_dataset(n, (10**9,), "f8")),
        "more numbers",
    ),
    "a type of its own": (lambda f: f.__setitem__("type", np.dtype("f8")), "neither group nor variable"),
    "compound numbers": (
        replaced("observed.rows", lambda g, n: g.create_dataset(n, (3,), [("a", "f8")])),
        "neither numbers nor text",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_words(name, whole, tmp_path, monkeypatch):
    change, words = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.nc"
    refused(path, tampered(whole, path, change), words)
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.nc"]


def test_a_change_that_changes_nothing_is_accepted(whole, tmp_path):
    path = tmp_path / "same.nc"
    path.write_bytes(tampered(whole, path, edited(lambda content: None)))
    assert repr(bg.load(path)) == repr(small_fits.em("faithful"))


@pytest.mark.parametrize("stage", ["to_netcdf", "fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file(stage, whole, tmp_path, monkeypatch):
    import os

    import xarray

    path = tmp_path / "fit.nc"
    path.write_bytes(whole)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(xarray.DataTree if stage == "to_netcdf" else os, stage, stop)
    with pytest.raises(KeyboardInterrupt):
        small_fits.em("galaxies_26.96").save(path)
    monkeypatch.undo()
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("sealed", sys.argv[1])
sealed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sealed)
path = pathlib.Path(sys.argv[2])
while True:
    for letter in b"ab":
        sealed.write_sealed(path, lambda aside: aside.write_bytes(sealed.SIGNATURE + bytes([letter]) * 3_000_000))
        print("written", flush=True)
"""


def test_a_save_that_is_killed_leaves_a_whole_file(tmp_path):
    path = tmp_path / "fit.nc"
    rng = np.random.default_rng(0)
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-S", "-c", WRITER, sealed.__file__, str(path)], stdout=subprocess.PIPE
        )
        assert writer.stdout.readline() == b"written\n"  # on a busy machine the first takes its time
        time.sleep(0.03 + 0.05 * rng.random())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        sealed.check_seal(path)
        assert len(set(path.read_bytes()[8 : -sealed.SEAL])) == 1


def test_nothing_is_unpickled():
    folder = importlib.util.find_spec("bayesgmm.io").submodule_search_locations[0]
    from pathlib import Path

    text = "".join(p.read_text() for p in Path(folder).glob("*.py"))
    assert not any(word in text for word in ("import pickle", "eval(", "exec(", "allow_pickle"))
