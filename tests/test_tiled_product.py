"""Sums of products in tiles against the products themselves."""

import jax
import numpy as np
import pytest

from bayesgmm import tiled_product


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 9, 12, 13, 16, 20, 64])
def test_tiles_hold_every_column(n):
    rng = np.random.default_rng(n)
    columns, phi = rng.standard_normal((2, n, 30)), rng.standard_normal((2, 7, 30))
    with jax.enable_x64(True):
        total = tiled_product.zero(n, 7, np.dtype(float))
        for block in range(2):
            total = tiled_product.plus(total, columns[block], phi[block])
        found = tiled_product.joined(total, n)
    np.testing.assert_allclose(found, np.einsum("bnr,bpr->np", columns, phi), rtol=1e-13, atol=1e-13)


def test_little_is_added():
    for n in range(1, 100):
        width = sum(part.shape[1] for part in tiled_product.zero(n, 1, np.dtype("float32")))
        assert n <= width < n + 4
