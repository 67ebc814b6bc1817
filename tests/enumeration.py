"""Every allocation of a few rows in one dimension under a conjugate prior, enumerated."""

import itertools

import numpy as np
from scipy.special import gammaln, logsumexp

from bayesgmm.models.components import NormalInverseWishart

ROWS = np.array([-1.4, -1.1, -0.9, -0.7, -0.2, 0.6, 0.9, 1.1, 1.3])
PRIOR = NormalInverseWishart(np.zeros(1), 0.4, 5.0, 3.0 * np.eye(1))


def exact(x, k):
    """P(K+ = 1..k) and similarities (N, N) of rows x (N,) under k components and uniform weights."""
    z = np.array(list(itertools.product(range(k), repeat=len(x))))
    members = [z == j for j in range(k)]
    log_p = sum(gammaln(1 + m.sum(axis=1)) + _log_marginal(x, m) for m in members)
    p = np.exp(log_p - logsumexp(log_p))
    occupied = sum(m.any(axis=1) for m in members)
    similarity = np.einsum("s,sij->ij", p, z[:, :, None] == z[:, None, :])
    return np.bincount(occupied, p, minlength=k + 1)[1:], similarity


def _log_marginal(x, members):
    """Log marginal likelihood (S,) of the rows in one component (S, N), a normal inverse-gamma prior integrated out.

    Murphy (2007), equation 95, with the covariance's inverse Wishart as an inverse gamma of half its parameters; the
    same for every allocation where it does not depend on the members.
    """
    n = members.sum(axis=1)
    mean = members @ x / np.maximum(n, 1)
    scatter = members @ x**2 - n * mean**2
    kappa, a, b = 0.4 + n, 2.5 + n / 2, 1.5 + 0.5 * scatter + 0.5 * 0.4 * n * mean**2 / (0.4 + n)
    return gammaln(a) - a * np.log(b) - 0.5 * np.log(kappa)
