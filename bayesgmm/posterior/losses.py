r"""Losses between partitions, and their exact expectation over draws.

All of them depend on two partitions through three sums over clusters of one function g of a count:

    A = sum_k g(n_k)  of the estimate      B = sum_j g(n_j)  of the draw      J = sum_jk g(n_jk)  of both

with g(n) = n log n for the losses of information theory, whose entropies are H = log N - A / N, and
g(n) = n (n - 1) / 2 for those that count pairs. ``a`` weighs what the estimate splits though the draw holds it
together, ``b`` what it holds together though the draw splits it (Dahl, Johnson & Mueller 2022, section 2).
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from scipy.special import xlogy

from bayesgmm.posterior.label_draws import LabelDraws, as_label_draws

Masses = Float64[np.ndarray, "..."] | float  # numbers, or arrays that broadcast
UNITS = {"nats": 1.0, "bits": float(np.log(2.0))}


@dataclasses.dataclass(frozen=True)
class Loss:
    """One way of measuring how far an estimate lies from a draw.

    Attributes
    ----------
    name : its name in the registry
    title : the name in words
    unit : "bits", "nats", "pairs", or "" for a plain number
    a, b : the price of splitting and of merging; 1 and 1 make the loss symmetric
    information : whether g(n) is n log n, rather than n (n - 1) / 2
    additive : whether the loss is (a B + b A - (a + b) J) up to a factor, so that its search needs no draw's own J
    """

    name: str
    title: str
    unit: str
    a: float
    b: float
    information: bool
    additive: bool

    def mass(self, counts: Int[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """g of every count."""
        n = counts.astype(float)
        return xlogy(n, n) if self.information else 0.5 * n * (n - 1.0)

    def value(self, estimate: Masses, draw: Masses, joint: Masses, n: int) -> Masses:
        """The loss from A, B and J, of ``n`` rows, in its unit."""
        loss = _FORMULAS[self.name](estimate, draw, joint, n, self.a, self.b)
        return np.maximum(loss, 0.0) / UNITS.get(self.unit, 1.0)

    @property
    def symmetric(self) -> Loss:
        """The same loss at equal weights, for use as a distance."""
        return dataclasses.replace(self, a=1.0, b=1.0)


def _additive(estimate, draw, joint, a, b):
    return a * draw + b * estimate - (a + b) * joint


def _variation_of_information(estimate, draw, joint, n, a, b):
    return _additive(estimate, draw, joint, a, b) / n


def _binder(estimate, draw, joint, n, a, b):
    return _additive(estimate, draw, joint, a, b)


def _normalised_binder(estimate, draw, joint, n, a, b):
    return _additive(estimate, draw, joint, a, b) / max(1.0, 0.5 * n * (n - 1.0))


def _one_minus_adjusted_rand(estimate, draw, joint, n, a, b):
    by_chance = estimate * draw / max(1.0, 0.5 * n * (n - 1.0))
    return _ratio(0.5 * (estimate + draw) - joint, 0.5 * (estimate + draw) - by_chance)


def _entropies(estimate, draw, joint, n):
    return (np.log(n) - mass / n for mass in (estimate, draw, joint))


def _normalised_variation_of_information(estimate, draw, joint, n, a, b):
    _, _, both = _entropies(estimate, draw, joint, n)
    return _ratio((estimate + draw - 2.0 * joint) / n, both)


def _information_distance(estimate, draw, joint, n, a, b):
    one, other, both = _entropies(estimate, draw, joint, n)
    return both - np.minimum(one, other)


def _normalised_information_distance(estimate, draw, joint, n, a, b):
    one, other, both = _entropies(estimate, draw, joint, n)
    return _ratio(both - np.minimum(one, other), np.maximum(one, other))


def _ratio(numerator, denominator):
    """A quotient that is 0 where nothing can differ: two partitions of one cluster, or of singletons."""
    sound = denominator > 1e-12
    return np.where(sound, numerator, 0.0) / np.where(sound, denominator, 1.0)


_FORMULAS: dict[str, Callable[..., Any]] = {
    "variation_of_information": _variation_of_information,
    "binder": _binder,
    "one_minus_adjusted_rand": _one_minus_adjusted_rand,
    "normalised_variation_of_information": _normalised_variation_of_information,
    "normalised_binder": _normalised_binder,
    "information_distance": _information_distance,
    "normalised_information_distance": _normalised_information_distance,
}

# title, whether it has a unit of information (None: its own unit), g, additive, takes a and b
_ABOUT: dict[str, tuple[str, str | None, bool, bool, bool]] = {
    "variation_of_information": ("variation of information", None, True, True, True),
    "binder": ("Binder loss", "pairs", False, True, True),
    "one_minus_adjusted_rand": ("one minus the adjusted Rand index", "", False, False, False),
    "normalised_variation_of_information": ("normalised variation of information", "", True, False, False),
    "normalised_binder": ("Binder loss as a share of all pairs", "", False, True, True),
    "information_distance": ("information distance", None, True, False, False),
    "normalised_information_distance": ("normalised information distance", "", True, False, False),
}
LOSSES = tuple(_FORMULAS)


def get_loss(loss: Any, *, a: Any = 1.0, b: Any = 1.0, unit: Any = None) -> Loss:
    """A loss by its name.

    - ``variation_of_information``: a H(estimate | draw) + b H(draw | estimate) (Meila 2007, equation 16; Wade &
      Ghahramani 2018, section 2).
    - ``binder``: pairs of rows that one holds together and the other apart (Binder 1978, section 3).
    - ``one_minus_adjusted_rand``: 1 - ARI (Hubert & Arabie 1985, equation 5), the loss of Fritsch & Ickstadt (2009).
    - ``normalised_variation_of_information``: 1 - I / H of both (Vinh, Epps & Bailey 2010, table 2).
    - ``normalised_binder``: 1 - Rand index.
    - ``information_distance``: max(H, H') - I, and ``normalised_information_distance``: 1 - I / max(H, H') (ibid.).

    Parameters
    ----------
    loss : a name, or a :class:`Loss`, which brings its own prices and unit
    a, b : prices of splitting and of merging, above 0, for the variation of information and Binder's loss
    unit : "bits" or "nats", for losses of information; None is bits

    Raises
    ------
    ValueError, TypeError
        If there is no such loss or unit, or a price is no number, not above 0, or not this loss's to have.
    """
    a, b = _checked_price("a", a), _checked_price("b", b)
    if isinstance(loss, Loss):
        if (a, b) != (1.0, 1.0):
            raise ValueError(
                f"Expected a and b in the Loss itself: get_loss({loss.name!r}, a={a:g}, b={b:g})."
            )
        return loss
    if not (isinstance(loss, str) and loss in _ABOUT):
        raise ValueError(f"Expected loss to be one of {', '.join(map(repr, LOSSES))}; got {loss!r}.")
    title, own_unit, information, additive, weighed = _ABOUT[loss]
    unit = _checked_unit(unit, loss, own_unit)
    if (a, b) != (1.0, 1.0) and not weighed:
        takes = ", ".join(repr(other) for other in LOSSES if _ABOUT[other][4])
        raise ValueError(
            f"Expected a = b = 1 for loss={loss!r}; got a={a:g}, b={b:g}. Losses with prices: {takes}."
        )
    return Loss(loss, title, unit, a, b, information, additive)


def _checked_unit(unit: Any, loss: str, own_unit: str | None) -> str:
    if unit is not None and not (isinstance(unit, str) and unit in UNITS):
        raise ValueError(f"Expected unit to be 'bits' or 'nats'; got {unit!r}.")
    if own_unit is None:
        return unit or "bits"
    if unit is not None:
        raise ValueError(
            f"Expected no unit for loss={loss!r}, which is no amount of information; got {unit!r}."
        )
    return own_unit


def _checked_price(name: str, price: Any) -> float:
    if not isinstance(price, numbers.Real) or isinstance(price, bool):
        raise TypeError(f"Expected {name} to be a number above 0; got {price!r}.")
    value = float(price)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"Expected {name} to be finite and above 0; got {price!r}.")
    return value


def losses_to_draws(
    labels: Any, draws: Any, loss: Any = "variation_of_information"
) -> Float64[np.ndarray, " S"]:
    """Loss (S,) of a partition (N,) at every distinct draw, exactly, from count tables.

    Raises
    ------
    ValueError
        If the partition has another number of rows than the draws.
    """
    loss, draws = get_loss(loss), as_label_draws(draws)
    estimate = as_label_draws([labels])
    if (estimate.n_draws, estimate.n_rows) != (1, draws.n_rows):
        raise ValueError(
            f"Expected a partition of the {draws.n_rows} rows of the draws; got labels of shape {np.shape(labels)}."
        )
    return losses_of_numbered(estimate.labels[0].astype(np.intp), draws, loss)


def losses_of_numbered(
    labels: Int[np.ndarray, " N"], draws: LabelDraws, loss: Loss
) -> Float64[np.ndarray, " S"]:
    """The same without checks, for a partition whose clusters are numbered from 0."""
    joint = draws.joint(labels, loss.mass(np.arange(len(labels) + 1)))
    own = draws.per_draw(loss.mass(draws.cluster_sizes))
    return np.asarray(loss.value(float(loss.mass(np.bincount(labels)).sum()), own, joint, len(labels)))


def expected_of_numbered(labels: Int[np.ndarray, " N"], draws: LabelDraws, loss: Loss) -> float:
    """The expected loss, without checks either."""
    return float(draws.weights @ losses_of_numbered(labels, draws, loss))


def expected_loss(labels: Any, draws: Any, loss: Any = "variation_of_information") -> float:
    """Expected loss of a partition (N,) over draws (S, N), exact, in the loss's unit."""
    draws = as_label_draws(draws)
    return float(draws.weights @ losses_to_draws(labels, draws, loss))


def distance(one: Any, other: Any, loss: Any = "variation_of_information") -> float:
    """Loss between two partitions (N,) of the same rows, ``one`` as the estimate."""
    return expected_loss(one, [other], loss)
