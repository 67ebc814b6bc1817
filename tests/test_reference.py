"""The reference in ``.docs`` has every public name, and each says what it is and what its arguments mean."""

import functools
import inspect
import re
from pathlib import Path

import pytest

import bayesgmm
from bayesgmm import models, plots
from bayesgmm.models import components, weights

MODULES = (bayesgmm, models, components, weights, plots)
PAGES = Path(__file__).parents[1] / ".docs"
MEMBERS = (property, functools.cached_property, classmethod, staticmethod)


def public_names():
    """Module, name and object of all that is public but modules, which are pages."""
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.ismodule(thing):
                yield module.__name__, name, thing


def names_on_pages():
    for page in PAGES.glob("*.rst"):
        module = None
        for kind, name in re.findall(r"^\.\. (\w+):: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if kind == "currentmodule":
                module = name
            elif kind in ("autofunction", "autoclass"):
                yield module, name


def members_of(cls):
    """Name and object of the public methods and properties that are ours."""
    for name in dir(cls):
        owner = next((c for c in cls.__mro__ if name in vars(c)), None)
        if name.startswith("_") or owner is None or not owner.__module__.startswith("bayesgmm"):
            continue
        member = vars(owner)[name]
        if inspect.isfunction(member) or isinstance(member, MEMBERS):
            yield name, getattr(cls, name)


def test_every_public_name_is_on_one_page():
    on_pages = list(names_on_pages())
    assert sorted(on_pages) == sorted((module, name) for module, name, _ in public_names())


@pytest.mark.parametrize("thing", [pytest.param(t, id=f"{m}.{n}") for m, n, t in public_names()])
def test_public_names_say_what_they_are(thing):
    assert thing.__doc__
    if inspect.isclass(thing):
        silent = [name for name, member in members_of(thing) if not inspect.getdoc(member)]
        assert not silent, f"without a docstring: {', '.join(silent)}"


@pytest.mark.parametrize(
    "thing",
    [pytest.param(t, id=f"{m}.{n}") for m, n, t in public_names() if "Parameters\n" in (t.__doc__ or "")],
)
def test_docstrings_name_every_parameter(thing):
    told = re.split(r"\n *Parameters\n *-+\n", inspect.getdoc(thing))[1]
    silent = [p for p in inspect.signature(thing).parameters if not re.search(rf"\b{p}\b", told)]
    assert not silent, f"not in the docstring: {', '.join(silent)}"
