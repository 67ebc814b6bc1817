"""Data whose posterior has three modes that are apart."""

import numpy as np


def three_groups_for_two():
    """Three groups of 40 rows at the corners of a triangle: two components can pair them in three ways.

    The noise is the same up to rotation, and the sides differ by half a per cent each: some third of a nat a pairing.
    """
    corners = np.array([[0.0, 0.0], [7.0, 0.0], [3.53, 6.10]])
    turn = np.array([[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]])
    noise = np.random.default_rng(1).normal(size=(40, 2))
    return np.concatenate([noise + corners[0], noise @ turn.T + corners[1], noise @ turn + corners[2]])
