"""What every test relies on: checked shapes, quiet plots, a compilation cache, and the reference cases."""

import gc
import importlib
import json
import os
import sys
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

# The variables are set, rather than any configuration, so that programs which tests start see them too, and before the
# hook below, which loads JAX with the first module that it checks.
cache = importlib.import_module("bayesgmm.compilation_cache").default_cache_folder()
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Every annotation in the package is checked at every call, but in what was just imported and in what carries trees of
# any kind, where there are no shapes to check and most calls.
PLUMBING = {"__init__", "__pycache__", "compiled", "float64", "pytree"}
ROOMS = {entry.stem for entry in (Path(__file__).parents[1] / "bayesgmm").iterdir()} - PLUMBING
jaxtyping.install_import_hook([f"bayesgmm.{room}" for room in sorted(ROOMS)], "beartype.beartype")

# The first example of a property may compile for seconds; the same examples run everywhere.
hypothesis.settings.register_profile("bayesgmm", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bayesgmm"))

# Files are handed out whole: a long one that began last would run alone, when all other workers have ended.
LONGEST = "evidence readme svi gibbs hmc geweke calibration warm_start select honest_failure cavi examples partition"

CASES = Path(__file__).parent / "cases"
MANY_MAPS = 40_000  # a compiled program holds a few; the largest test files add some 10 000


def pytest_configure(config):
    """Let files begin in the order below, not those of most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """The longest files first."""
    place = {f"test_{name}": i for i, name in enumerate(LONGEST.split())}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def cases():
    """Load a reference result that this project did not make, by name: ``cases("A_heights")``."""

    def load(name):
        return json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))

    return load


@pytest.fixture
def strict_ranks():
    """Forbid JAX to broadcast arrays of different rank for the length of one test."""
    import jax

    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="module", autouse=True)
def _few_programs():
    """Drop compiled programs between files where they are many: Linux ends a process that exceeds 65530 memory maps."""
    yield
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.exists() and maps.read_bytes().count(b"\n") > MANY_MAPS:
        sys.modules["jax"].clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def _no_kept_programs():
    """Stop to keep traced programs once a test has asked for it: others trace what they have changed."""
    yield
    if "bayesgmm.traced_programs" in sys.modules:
        sys.modules["bayesgmm.traced_programs"].folder = None


@pytest.fixture(autouse=True)
def _no_open_figures():
    """Close what a test drew."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
