"""The reference in ``.docs`` has every public name, and each says what it is and what its arguments mean."""

import functools
import inspect
import re
import sys
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


def named_in(annotation, place):
    """Classes of ours that an annotation names; ``place`` is the module in whose words it is written."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__forward_arg__", "")
    words = re.findall(r"\w+", text or getattr(annotation, "__name__", ""))
    for thing in (getattr(sys.modules[place], word, None) for word in words):
        if inspect.isclass(thing) and thing.__module__.startswith("bayesgmm"):
            yield thing


def told_by(thing):
    """Classes of ours that a function returns, or that a result's fields hold and its members return."""
    if inspect.isfunction(thing):
        return set(named_in(inspect.signature(thing).return_annotation, thing.__module__))
    found = {
        kind
        for a in vars(thing).get("__annotations__", {}).values()
        for kind in named_in(a, thing.__module__)
    }
    for member in vars(thing).values():
        function = getattr(member, "fget", None) or getattr(member, "func", None) or member
        if inspect.isfunction(function) and not function.__name__.startswith("_"):
            found |= told_by(function)
    return found


# What results are made of, and nobody has to know: the task, the numbers of a criterion, a structure's own matters.
INSIDE = {"Problem", "Maximum", "Natural", "Structure", "Precision", "Standardisation", "Factors", "HeldOut"}


def types_of_results():
    """Classes that come back from public functions and engines, directly or by way of a result."""
    engines = [thing.run for _, _, thing in public_names() if hasattr(thing, "run")]
    known, waiting = (
        set(),
        {thing for _, _, thing in public_names() if inspect.isfunction(thing)} | set(engines),
    )
    while waiting:
        new = told_by(waiting.pop()) - known
        new = {kind for kind in new if kind.__name__ not in INSIDE and "models" not in kind.__module__}
        known |= new
        waiting |= new
    return known


def test_every_public_name_is_on_one_page():
    on_pages = list(names_on_pages())
    assert len(set(on_pages)) == len(on_pages)
    public = {(module, name) for module, name, _ in public_names()}
    assert public <= set(on_pages)
    assert {name for _, name in set(on_pages) - public} <= {kind.__name__ for kind in types_of_results()}


def test_every_type_of_result_has_a_page():
    on_pages = {name for _, name in names_on_pages()}
    without = {
        kind.__name__ for kind in types_of_results() if kind.__module__ != "bayesgmm.mixture"
    } - on_pages
    assert not without, f"returned to users, but on no page: {', '.join(sorted(without))}"


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
