"""The natural logarithm in double precision, in vector instructions: XLA calls the C library's, number by number."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bayesgmm.covariances import Array

# fdlibm's e_log.c (Sun Microsystems 1993): log((1 + s) / (1 - s)) = 2 s + s R(s^2), off by less than 2^-58.
LN2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)  # the first with trailing zeros
R = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
ROOT_HALF = np.float64(np.sqrt(0.5)).view(np.int64)


@jax.custom_jvp
def log(x: Array) -> Array:
    """Logarithm of numbers of at least zero, subnormal ones aside, to within an ulp."""
    if x.dtype != jnp.float64:
        return jnp.log(x)
    bits = lax.bitcast_convert_type(x, jnp.int64)
    # x = 2^exponent (1 + f), with 1 + f between the roots of a half and of two.
    exponent = (bits - ROOT_HALF) >> 52
    f = lax.bitcast_convert_type(bits - (exponent << 52), jnp.float64) - 1.0
    s = f / (f + 2.0)
    square = s * s
    rest = square * R[-1]
    for coefficient in R[-2::-1]:
        rest = square * (rest + coefficient)
    half = 0.5 * f * f
    times = exponent.astype(jnp.float64)
    result = times * LN2[0] - ((half - (s * (half + rest) + times * LN2[1])) - f)
    return jnp.where((x > 0) & (x < jnp.inf), result, jnp.where(x == 0, -jnp.inf, x))


@log.defjvp
def _log_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return log(*primals), tangents[0] / primals[0]
