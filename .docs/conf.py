"""How Sphinx builds the reference of the public names.

From the top level, with the ``dev`` extra installed: ``sphinx-build -W .docs .docs/html``.
"""

import re
import tomllib
from pathlib import Path
from typing import Generic, TypeVar

import numpy.typing
from docutils.nodes import SkipNode, math_block
from docutils.utils.math.latex2mathml import tex2mathml

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
metadata = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
project = metadata["name"]
author = metadata["authors"][0]["name"]
release = metadata["version"]

extensions = ["sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["html"]
smartquotes = False  # "full" is a string to be typed
html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"bayesgmm {release}"
html_copy_source = False
html_show_copyright = False

autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the pages ask for them
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

# A reference that leads nowhere is a warning, with -W an error; but annotations name what has no page here.
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r".*\..*|ndarray|Array|Float|Structure|Concentration"),
    ("py:(meth|mod)", r"EMResult\.\w+|split_merge"),  # named from modules that have pages elsewhere, or none
]


class NDArray(Generic[TypeVar("Scalar")]):
    """Stands for numpy's alias, which Sphinx would write out: ``ndarray[tuple[Any, ...], dtype[float64]]``."""


NDArray.__module__ = "numpy.typing"  # and in its place before the package is imported
numpy.typing.NDArray = NDArray

SECTIONS = {"Parameters", "Attributes", "Returns", "Raises"}


def describe(lines: list[str]) -> list[str]:
    """Move what follows ``name :`` to a line of its own.

    numpydoc takes it for a type. Here it is the first line of the description, which would be torn in two.
    """
    section, told = "", []
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if following and set(following) == {"-"}:
            section = line
        field = re.fullmatch(r"(\w[\w, ]*) : (.+)", line)
        told += [field[1], f"    {field[2]}"] if field and section in SECTIONS else [line]
    return told


def before_numpydoc(app, what, name, obj, options, lines):
    """Let numpydoc see docstrings as ``describe`` has them."""
    lines[:] = describe(lines)


def plain_signature(app, what, name, obj, options, signature, returned):
    """Leave out ``Any``, which says nothing, and how results are made, which is no user's business."""
    made_by_us = what == "class" and not obj.__module__.startswith("bayesgmm.models")
    if made_by_us and "Parameters\n" not in (obj.__doc__ or ""):
        return "", None
    if signature:
        signature = re.sub(r": (~typing\.)?Any(?=[,)])", "", re.sub(r": (~typing\.)?Any = ", "=", signature))
    return signature, None if returned == "~typing.Any" else returned


def as_mathml(translator, node):
    """Write a formula in the browser's own language, which needs no network."""
    formula = node.astext().replace(r"\dots", r"\ldots")  # docutils knows the second only
    translator.body.append(tex2mathml(formula, as_block=isinstance(node, math_block)))
    raise SkipNode


def setup(app):
    """Hang these into Sphinx, before numpydoc."""
    app.connect("autodoc-process-docstring", before_numpydoc, priority=400)
    app.connect("autodoc-process-signature", plain_signature, priority=400)
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
