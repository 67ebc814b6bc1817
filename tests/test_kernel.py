"""The fused pass against the formulas it replaces, written out with SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import FIRST_QUICK, STRUCTURES, random_mixture, random_rows, responsibilities
from cases import log_density as scipy_log_density
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.covariances import Natural, get_structure
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.kernel import log_density, log_density_of_rows, memberships, statistics
from bayesgmm.mixture import Mixture
from bayesgmm.row_blocks import block_size, make_rows, round_up

every_structure = pytest.mark.parametrize("structure", STRUCTURES)
first_structure_quick = pytest.mark.parametrize("structure", FIRST_QUICK)


def column(mixture, i):
    return jax.tree.map(lambda leaf: leaf[i], mixture)


def example(structure, n=137, d=3, k=4, c=2, seed=0):
    rng = np.random.default_rng(seed)
    return random_mixture(structure, rng, k, d, lead=(c,)), random_rows(rng, n, d)


def moments(mixture, rows, weight):
    """Counts, sums and dense second moments of the rows of each component, by SciPy."""
    r = responsibilities(mixture, rows) * weight[:, None]
    return r.sum(0), r.T @ rows, np.einsum("nk,ni,nj->kij", r, rows, rows)


@every_structure
@pytest.mark.parametrize("d", [1, 3])
def test_statistics_are_responsibilities_times_features(structure, d):
    mixture, rows = example(structure, d=d)
    weight = np.random.default_rng(1).uniform(0, 2, len(rows))
    padded = make_rows(rows, mixture.structure, weight, most=64)
    assert padded.blocks.shape[0] > 1
    out = in_float64(statistics)(mixture.structure, mixture.natural(), padded)
    found = mixture.structure.moments(out.values, padded.total, d)
    for i in range(2):
        counts, sums, second = moments(column(mixture, i), rows, weight)
        np.testing.assert_allclose(found.counts[i], counts, rtol=1e-12)
        np.testing.assert_allclose(found.sums[i], sums, rtol=1e-10, atol=1e-10)
        total = {
            "full": second,
            "tied": second.sum(0),
            "diag": np.diagonal(second, axis1=1, axis2=2),
            "spherical": np.trace(second, axis1=1, axis2=2),
        }[structure]
        own = found.second if structure == "tied" else found.second[i]
        np.testing.assert_allclose(own, total, rtol=1e-10, atol=1e-10)
        expected = weight @ scipy_log_density(column(mixture, i), rows)
        np.testing.assert_allclose(out.log_likelihood[i], expected, rtol=1e-12)


@every_structure
def test_pointwise_densities_and_memberships(structure):
    mixture, rows = example(structure)
    n = len(rows)
    padded = make_rows(rows, mixture.structure, most=64)
    pointwise = in_float64(log_density)(mixture.structure, mixture.natural(), padded)[:, :n]
    averaged = in_float64(memberships)(mixture.structure, mixture.natural(), padded)[:, :n]
    expected = [scipy_log_density(column(mixture, i), rows) for i in range(2)]
    np.testing.assert_allclose(pointwise, expected, rtol=1e-11)
    expected = np.mean([responsibilities(column(mixture, i), rows) for i in range(2)], axis=0)
    np.testing.assert_allclose(averaged.T, expected, atol=1e-13)
    traced = in_float64(log_density_of_rows)(mixture.structure, mixture.natural(), rows)
    np.testing.assert_allclose(traced, pointwise, rtol=1e-12)


@first_structure_quick
@pytest.mark.parametrize("n", [1, 63, 64, 65, 257, 1001])
def test_blocks_equal_the_whole(structure, n):
    mixture, rows = example(structure, n=n)
    one_pass = in_float64(statistics)
    whole = one_pass(mixture.structure, mixture.natural(), make_rows(rows, mixture.structure))
    blocks = one_pass(mixture.structure, mixture.natural(), make_rows(rows, mixture.structure, most=48))
    np.testing.assert_allclose(blocks.values, whole.values, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(blocks.log_likelihood, whole.log_likelihood, rtol=1e-13)


@every_structure
def test_a_weight_is_a_repetition(structure):
    mixture, rows = example(structure, n=50)
    weight = np.random.default_rng(2).integers(0, 4, len(rows))
    one_pass = in_float64(statistics)
    weighted = make_rows(rows, mixture.structure, weight.astype(float))
    repeated = make_rows(np.repeat(rows, weight, axis=0), mixture.structure)
    a = one_pass(mixture.structure, mixture.natural(), weighted)
    b = one_pass(mixture.structure, mixture.natural(), repeated)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(a.log_likelihood, b.log_likelihood, rtol=1e-13)
    np.testing.assert_allclose(weighted.total, repeated.total, rtol=1e-12)
    assert weighted.total_weight == repeated.total_weight == weight.sum()


@every_structure
def test_an_empty_slot_changes_nothing(structure):
    """A component of weight zero (log weight minus infinity) pads models with fewer components."""
    mixture, rows = example(structure)
    extra = random_mixture(structure, np.random.default_rng(5), 1, 3, lead=(2,))
    covariances = mixture.covariances
    if structure != "tied":
        covariances = np.concatenate([covariances, extra.covariances], axis=1)
    padded = Mixture(
        mixture.structure,
        np.concatenate([mixture.log_weights, np.full((2, 1), -np.inf)], axis=1),
        np.concatenate([mixture.means, extra.means], axis=1),
        covariances,
    )
    blocks = make_rows(rows, mixture.structure)
    a = in_float64(statistics)(mixture.structure, mixture.natural(), blocks)
    b = in_float64(statistics)(padded.structure, padded.natural(), blocks)
    np.testing.assert_array_equal(b.values[:, -1], 0.0)
    np.testing.assert_allclose(b.values[:, :-1], a.values, rtol=1e-13)
    np.testing.assert_allclose(b.log_likelihood, a.log_likelihood, rtol=1e-14)


@every_structure
def test_far_rows_neither_overflow_nor_vanish(structure):
    mixture, rows = example(structure, n=8)
    rows = 1e4 * rows
    pointwise = in_float64(log_density_of_rows)(mixture.structure, mixture.natural(), rows)
    np.testing.assert_allclose(pointwise[0], scipy_log_density(column(mixture, 0), rows), rtol=1e-9)


# --- derivatives


def plain(structure, natural, rows):
    """The same density without ``custom_vjp``, for autodiff to take apart."""
    logits = jnp.einsum("ckp,pn->ckn", natural.eta, structure.features(rows.T))
    log_sum = jax.scipy.special.logsumexp(logits, axis=1)
    return log_sum + natural.shared @ structure.shared_features(rows.T)


@first_structure_quick
def test_gradient_is_fishers_identity(structure):
    mixture, rows = example(structure, n=200, d=2, k=3)
    padded = make_rows(rows, mixture.structure, most=64)
    seed = np.random.default_rng(3).standard_normal((2, padded.blocks.shape[0] * padded.blocks.shape[2]))
    seed[:, len(rows) :] = 0.0

    def ours(natural, blocks, cotangent):
        return jnp.sum(cotangent * log_density(mixture.structure, natural, blocks))

    def autodiff(natural, x, cotangent):
        return jnp.sum(cotangent[:, : len(rows)] * plain(mixture.structure, natural, x))

    a = in_float64(jax.grad(ours))(mixture.natural(), padded, seed)
    b = in_float64(jax.grad(autodiff))(mixture.natural(), rows, seed)
    np.testing.assert_allclose(a.eta, b.eta, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(a.shared, b.shared, rtol=1e-10, atol=1e-10)


@every_structure
def test_gradient_of_the_log_likelihood_is_the_statistics(structure):
    mixture, rows = example(structure)
    padded = make_rows(rows, mixture.structure)

    def total(natural):
        return jnp.sum(log_density(mixture.structure, natural, padded_on_device)[:, : len(rows)])

    with jax.enable_x64(True):
        padded_on_device = to_device(padded)
        gradient = jax.grad(total)(to_device(mixture.natural()))
        out = statistics(mixture.structure, to_device(mixture.natural()), padded_on_device)
    np.testing.assert_allclose(gradient.eta, out.values, rtol=1e-11, atol=1e-11)


@first_structure_quick
def test_second_derivatives(structure):
    """Hessian by ``jax.hessian`` against central differences of the gradient; error below 1e-6 of its size."""
    mixture, rows = example(structure, n=40, d=2, k=2, c=1)
    natural = mixture.natural()
    size = natural.eta.size

    def total(flat, x):
        eta = flat[:size].reshape(natural.eta.shape)
        shared = flat[size:].reshape(natural.shared.shape)
        return jnp.sum(log_density_of_rows(mixture.structure, Natural(eta, shared), x))

    flat = np.concatenate([natural.eta.ravel(), natural.shared.ravel()])
    hessian = in_float64(jax.hessian(total))(flat, rows)
    gradient = in_float64(jax.jit(jax.grad(total)))
    step = 1e-5
    numeric = np.stack(
        [
            (gradient(flat + step * e, rows) - gradient(flat - step * e, rows)) / (2 * step)
            for e in np.eye(flat.size)
        ]
    )
    np.testing.assert_allclose(hessian, numeric, atol=1e-6 * np.abs(hessian).max())


@first_structure_quick
def test_many_traced_rows_take_the_blocked_path(structure):
    """Values and gradients agree on both sides of the switch to ``custom_vjp``."""
    rng = np.random.default_rng(4)
    mixture = random_mixture(structure, rng, 2, 1, lead=(1,))
    size = block_size(mixture.structure, 1, 10**6)
    few = random_rows(rng, 3 * size, 1)
    many = np.concatenate([few, random_rows(rng, 2 * size + 5, 1)])
    natural = mixture.natural()

    def total(eta, x):
        return jnp.sum(log_density_of_rows(mixture.structure, Natural(eta, natural_on_device.shared), x))

    with jax.enable_x64(True):
        natural_on_device = to_device(natural)
        eta = natural_on_device.eta
        rest = jnp.asarray(many[len(few) :])
        for order in (lambda f: f, jax.grad):
            whole = order(total)(eta, jnp.asarray(many))
            parts = order(total)(eta, jnp.asarray(few)) + order(total)(eta, rest)
            np.testing.assert_allclose(whole, parts, rtol=1e-10, atol=1e-8)


# --- memory and compilation


@every_structure
def test_memory_never_grows_as_rows_times_components(structure):
    """No array that the traced program makes has as many entries as rows times components, or times features."""
    n, d, k = 20_000, 3, 7
    mixture, rows = example(structure, n=n, d=d, k=k, c=1)
    padded = make_rows(rows, mixture.structure)
    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda natural, r: statistics(mixture.structure, natural, r))(
            to_device(mixture.natural()), to_device(padded)
        )
    largest = max(shape_size(v.aval) for v in made_by(program.jaxpr))
    per_block = padded.blocks.shape[2] * max(k, mixture.natural().eta.shape[-1])
    assert largest <= per_block < n * k / 2


def made_by(jaxpr):
    """Every intermediate variable of a program, inner programs included."""
    for equation in jaxpr.eqns:
        yield from equation.outvars
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from made_by(inner)


def shape_size(aval):
    return int(np.prod(aval.shape, dtype=np.int64))


@given(st.integers(1, 10**7), st.sampled_from([1, 64, 512]))
def test_rounding_up_wastes_little_and_makes_few_sizes(n, multiple):
    stored = round_up(n, multiple)
    assert stored >= n
    assert stored % multiple == 0
    assert stored <= 1.25 * n + multiple
    assert round_up(stored, multiple) == stored


def test_sizes_in_a_doubling():
    assert len({round_up(n) for n in range(1025, 2049)}) == 4


@first_structure_quick
@given(n=st.integers(1, 5000), seed=st.integers(0, 2**32 - 1))
def test_rows_survive_their_blocks(structure, n, seed):
    rng = np.random.default_rng(seed)
    rows, weight = rng.standard_normal((n, 2)), rng.uniform(0.1, 1, n)
    out = make_rows(rows, get_structure(structure), weight)
    back = np.swapaxes(out.blocks, 1, 2).reshape(-1, 2)
    np.testing.assert_array_equal(back[:n], rows)
    np.testing.assert_array_equal(out.weights.ravel()[:n], weight)
    assert not out.weights.ravel()[n:].any()
    assert (out.used - 1) * out.weights.shape[1] < n <= out.used * out.weights.shape[1]


def test_single_precision_is_a_choice():
    mixture, rows = example("full")
    padded = make_rows(rows, mixture.structure, dtype="float32")
    single = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), mixture.natural())
    out = statistics(mixture.structure, single, to_device(padded))
    assert out.values.dtype == np.float32
    double = in_float64(statistics)(mixture.structure, mixture.natural(), make_rows(rows, mixture.structure))
    np.testing.assert_allclose(out.log_likelihood, double.log_likelihood, rtol=1e-4)
