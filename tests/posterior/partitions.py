"""Partitions for tests: all of them for few rows, random draws, and losses computed without any code of ours."""

from __future__ import annotations

import contextlib
import functools

import jaxtyping
import numpy as np

from bayesgmm.posterior.losses import get_loss


@contextlib.contextmanager
def unchecked():
    """Leave annotations unchecked, for a test that calls small functions so often that checks are most of its time.

    Other tests of the folder call the same functions with their checks.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def in_nats(name, **prices):
    """The loss of that name, in nats if it is an amount of information."""
    loss = get_loss(name, **prices)
    return get_loss(name, unit="nats", **prices) if loss.unit == "bits" else loss


@functools.cache
def all_partitions(n):
    """Every partition of n rows, as labels (Bell number, n) in order of first appearance."""
    rows = [[0]]
    for _ in range(n - 1):
        rows = [[*row, k] for row in rows for k in range(max(row) + 2)]
    return np.array(rows)


def random_draws(rng, s=30, n=8, noise=0.3):
    """Label draws (s, n): one or two partitions with some of their rows thrown elsewhere."""
    centres = rng.integers(0, rng.integers(1, 5), size=(2, n))
    draws = centres[rng.integers(2, size=s)]
    return np.where(rng.random((s, n)) < noise, rng.integers(0, 6, size=(s, n)), draws)


def direct_losses(candidates, draw, a=1.0, b=1.0):
    """Every loss (m,) of partitions (m, n) at one draw (n,), from which rows are together; in nats and pairs."""
    n = len(draw)
    ours = candidates[:, :, None] == candidates[:, None, :]
    theirs = (draw[:, None] == draw)[None]
    upper = np.triu(np.ones((n, n), bool), 1)
    split = (theirs & ~ours & upper).sum(axis=(1, 2))
    merged = (ours & ~theirs & upper).sum(axis=(1, 2))
    together = (ours & theirs & upper).sum(axis=(1, 2))
    # An entropy is the mean over rows of -log of the share of rows in the row's cluster.
    own = -np.log(ours.sum(axis=2) / n).mean(axis=1)
    other = -np.log(theirs.sum(axis=2) / n).mean(axis=1)
    both = -np.log((ours & theirs).sum(axis=2) / n).mean(axis=1)
    information, pairs = own + other - both, max(1.0, n * (n - 1) / 2)
    by_chance = (together + merged) * (together + split) / pairs
    mean = together + (split + merged) / 2
    # When one of two equal entropies or pair counts is all there is, both partitions are the same and trivial.
    with np.errstate(invalid="ignore", divide="ignore"):
        adjusted = np.where(mean - by_chance > 1e-12, (together - by_chance) / (mean - by_chance), 1.0)
        ratio = np.where(both > 1e-12, information / both, 1.0)
        larger = np.maximum(own, other)
        largest = np.where(larger > 1e-12, information / larger, 1.0)
    return {
        "variation_of_information": a * (both - other) + b * (both - own),
        "binder": a * split + b * merged,
        "normalised_binder": (a * split + b * merged) / pairs,
        "one_minus_adjusted_rand": 1 - adjusted,
        "normalised_variation_of_information": 1 - ratio,
        "information_distance": larger - information,
        "normalised_information_distance": 1 - largest,
    }


def direct_expected(candidates, draws, name, a=1.0, b=1.0):
    """Expected loss (m,) of partitions (m, n) over draws (s, n), by O(s n^2) comparisons of rows."""
    return np.mean([direct_losses(candidates, draw, a, b)[name] for draw in draws], axis=0)


def same_partition(one, other):
    """Whether two labellings hold the same rows together."""
    one, other = np.asarray(one), np.asarray(other)
    return np.array_equal(one[:, None] == one, other[:, None] == other)
