"""Input to rows: what is accepted, what is refused and in which words, and the standardisation."""

import gzip
import math
import subprocess
import sys

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import scipy.stats
import xarray as xr
from hypothesis import assume, given, settings

from bayesgmm.data import (
    Data,
    RowMoments,
    Standardisation,
    as_data,
    check_fit,
    check_independent,
    check_sample_weight,
    check_width,
    list_datasets,
    load_dataset,
)

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "kind": ["x", "y", "z"], "b": [4, 5, 6]})
ROWS = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]])

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
tables = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8), elements=finite
)


# --- what is accepted


@pytest.mark.parametrize(
    "x",
    [
        ROWS,
        ROWS.tolist(),
        ROWS.astype(np.float32),
        ROWS.astype(np.float16),
        ROWS.astype(np.longdouble),
        ROWS.astype(np.int8),
        ROWS.astype(np.uint64),
        ROWS.astype(object),
        np.asfortranarray(ROWS),
        ROWS.astype(">f8"),
        np.ma.masked_array(ROWS),
        np.repeat(ROWS, 2, axis=1)[:, ::2],
        jnp.asarray(ROWS),
        jnp.asarray(ROWS, dtype=jnp.bfloat16),
        pd.DataFrame(ROWS),
        pd.DataFrame(ROWS, columns=["a", "b"]),
        pd.DataFrame(ROWS, columns=["a", "b"]).convert_dtypes(),
        pd.DataFrame(ROWS, index=[7, 7, 7], columns=["a", "b"]),
        pl.DataFrame(ROWS, schema=["a", "b"]),
        pa.table({"a": ROWS[:, 0], "b": ROWS[:, 1]}),
        xr.DataArray(ROWS, dims=("row", "feature"), coords={"feature": ["a", "b"]}),
        xr.DataArray(ROWS),
    ],
    ids=lambda x: f"{type(x).__module__.split('.')[0]}.{type(x).__name__}.{getattr(x, 'dtype', '')}",
)
def test_every_kind_of_table_becomes_the_same_rows(x):
    data = as_data(x)
    np.testing.assert_array_equal(data.rows, ROWS)
    assert data.rows.dtype == np.float64
    assert data.rows.flags.c_contiguous
    assert not data.rows.flags.writeable
    assert data.feature_names in {("a", "b"), ("x0", "x1")}
    assert data.is_named == (data.feature_names == ("a", "b"))
    assert (data.n_rows, data.n_features, data.name) == (3, 2, "data")


@pytest.mark.parametrize(
    ("x", "name"),
    [
        ([1, 2], "x0"),
        (np.array([1, 2]), "x0"),
        (jnp.array([1, 2]), "x0"),
        (pd.Series([1, 2]), "x0"),
        (pd.Series([1, 2], name="height"), "height"),
        (pl.Series("height", [1, 2]), "height"),
        (xr.DataArray([1, 2], name="height"), "x0"),
    ],
)
def test_one_dimension_is_one_column(x, name):
    data = as_data(x)
    np.testing.assert_array_equal(data.rows, [[1.0], [2.0]])
    assert data.feature_names == (name,)


def test_booleans_are_zero_and_one():
    for x in ([True, False], pd.Series([True, False]), pl.Series([True, False]), pd.array([True, False])):
        np.testing.assert_array_equal(as_data(x).rows, [[1.0], [0.0]])


@given(hnp.arrays(np.int64, st.integers(1, 20), elements=st.integers(-(2**53), 2**53)))
def test_integers_are_converted_exactly(x):
    assert [int(v) for v in as_data(x).rows[:, 0]] == x.tolist()


@given(tables)
@settings(max_examples=30)
def test_the_users_array_is_neither_changed_nor_shared(x):
    before = x.copy()
    data = as_data(x)
    np.testing.assert_array_equal(x, before)
    x += 1.0
    np.testing.assert_array_equal(data.rows, before)
    with pytest.raises(ValueError, match="read-only"):
        data.rows[0, 0] = 0.0


def test_data_passes_through():
    data = as_data(FRAME, columns=["a", "b"], name="mine")
    assert as_data(data) is data
    assert as_data(data, name="other").name == "other"
    chosen = as_data(data, columns="b")
    np.testing.assert_array_equal(chosen.rows, ROWS[:, 1:])
    assert (chosen.feature_names, chosen.name, chosen.rows.flags.writeable) == (("b",), "mine", False)


def test_repr_says_what_it_is():
    assert repr(as_data(FRAME, columns=["a", "b"])) == "Data('data': 3 rows x 2 features: a, b)"
    assert repr(as_data([1.0, 2.0], name="ages")) == "Data('ages': 2 rows x 1 feature: x0)"
    assert repr(as_data(np.ones((1, 9)))).endswith("x0, x1, x2, x3, x4, ... x8)")


# --- the choice of columns


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["a", "b"], ("a", "b")),
        (["b", "a"], ("b", "a")),
        ("b", ("b",)),
        (0, ("a",)),
        ([0, -1], ("a", "b")),
        (np.array([2]), ("b",)),
        (pd.Index(["a"]), ("a",)),
    ],
)
def test_columns_by_name_and_by_position(columns, names):
    for frame in (FRAME, pl.from_pandas(FRAME)):
        data = as_data(frame, columns=columns)
        assert data.feature_names == names
        np.testing.assert_array_equal(data.rows, FRAME[list(names)])


def test_columns_of_arrays_and_of_numbered_frames():
    assert as_data(ROWS, columns=["x1"]).feature_names == ("x1",)
    assert as_data(ROWS, columns=[1]).feature_names == ("x1",)
    numbered = pd.DataFrame({5: [1.0], 0: [2.0]})
    np.testing.assert_array_equal(as_data(numbered, columns=[5]).rows, [[1.0]])
    np.testing.assert_array_equal(as_data(numbered, columns=[0]).rows, [[2.0]])  # the label, not the position


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ("waitng", ValueError, "among 'eruptions', 'waiting'; got 'waitng'. Did you mean 'waiting'"),
        ([2], ValueError, "below 2; got 2"),
        ([-3], ValueError, "below 2; got -3"),
        ([0, "eruptions"], ValueError, "'eruptions' twice"),
        ([], ValueError, "at least one column|one column; got 272 x 0"),
        ([True, False], TypeError, "flatnonzero"),
        ([1.5], TypeError, "name or position; got 1.5"),
    ],
)
def test_a_wrong_choice_of_columns_is_explained(columns, error, message):
    for x in ("faithful", as_data("faithful")):
        with pytest.raises(error, match=message):
            as_data(x, columns=columns)


# --- what is refused


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (FRAME, TypeError, r"text in column 'kind' \(first 'x' at row 0\).*columns=\['a', 'b'\]"),
        (
            pl.from_pandas(FRAME),
            TypeError,
            r"text in column 'kind' \(first 'x' at row 0\).*columns=\['a', 'b'\]",
        ),
        (FRAME.astype({"kind": "category"}), TypeError, r"text in column 'kind'"),
        (pl.from_pandas(FRAME).cast({"kind": pl.Categorical}), TypeError, r"text in column 'kind'"),
        (
            pd.DataFrame({"t": ["1", "2"]}),
            TypeError,
            r"numbers as text in column 't' \(first '1' at row 0\)\. Convert it first",
        ),
        (np.array([["a", "b"]]), TypeError, r"text in column 'x0' \(first 'a' at row 0\)"),
        (np.array([b"a"]), TypeError, r"text in column 'x0' \(first b'a'"),
        ([[1.0, 2.0], [3.0, "?"]], TypeError, r"text in column 'x1' \(first '\?' at row 1\).*\[0\]"),
        (
            np.array([[1, 2], [3, "?"]], dtype=object),
            TypeError,
            r"text in column 'x1' \(first '\?' at row 1\).*\[0\]",
        ),
        (
            pd.DataFrame({"a": [1], "d": pd.to_datetime(["2020-01-01"])}),
            TypeError,
            r"dates in column 'd'.*\['a'\]",
        ),
        (pd.DataFrame({"d": pd.to_timedelta(["1s"])}), TypeError, r"durations in column 'd'"),
        (np.array([1 + 2j]), TypeError, r"complex numbers in column 'x0'"),
        (np.array([[object()]]), TypeError, r"objects in column 'x0' \(first object at row 0\)"),
        (pl.DataFrame({"l": [[1], [2]]}), TypeError, r"column 'l'.*expected real numbers"),
        (np.zeros(2, dtype=[("a", float)]), TypeError, r"structured_to_unstructured"),
        (np.zeros(2, dtype="V4"), TypeError, r"expected real numbers"),
        (scipy.sparse.eye_array(3), TypeError, r"sparse .*x\.toarray\(\)"),
        (pl.LazyFrame({"a": [1]}), TypeError, r"lazy LazyFrame.*x\.collect\(\)"),
        (xr.Dataset({"a": ("row", [1.0])}), TypeError, r"xarray Dataset.*to_dataframe"),
        ({"a": [1]}, TypeError, r"dict.*pandas\.DataFrame\(x\)"),
        ([[1, 2], [3]], TypeError, r"got list, which NumPy cannot read"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, r"name once; got 'a' twice"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), ValueError, r"name once; got '1' twice"),
        (
            pd.DataFrame({"Unnamed: 0": [1], "a": [2]}),
            ValueError,
            r"without a name, number 0.*columns=\['a'\]",
        ),
        (np.ones((2, 2, 2)), ValueError, r"3 dimensions, shape \(2, 2, 2\)"),
        (1.0, ValueError, r"single float"),
        (None, ValueError, r"single NoneType"),
        ([], ValueError, r"at least one row and one column; got 0 x 1"),
        (np.ones((0, 3)), ValueError, r"got 0 x 3"),
        (np.ones((3, 0)), ValueError, r"got 3 x 0"),
        (FRAME[[]], ValueError, r"got [03] x 0"),
        (np.array([1, 2**53 + 1]), ValueError, r"integer 9007199254740993 at row 1, column 'x0'.*identifier"),
        (np.array([2**64 - 1], dtype=np.uint64), ValueError, r"integer 18446744073709551615 at row 0"),
        (np.array([1.0, np.finfo(np.longdouble).max]), ValueError, r"infinite value inf at row 1"),
        (np.array([-np.inf, 1.0]), ValueError, r"infinite value -inf at row 0, column 'x0'\. Drop"),
        ([[1.0, None]], ValueError, r"NaN \(missing value\) at row 0, column 'x1'\."),
        (pl.DataFrame({"a": [1, None]}), ValueError, r"row 1, column 'a'.*drop_nulls\(\)"),
        (pl.Series("a", [1, None]), ValueError, r"row 1, column 'a'.*drop_nulls\(\)"),
        (
            pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
            ValueError,
            r"row 1, column 'a'.*df\.dropna\(\)",
        ),
        (pd.array([True, None], dtype="boolean"), ValueError, r"row 1, column 'x0'"),
        (pd.Series([True, None], dtype="boolean"), ValueError, r"row 1, column 'x0'.*x\.dropna\(\)"),
        (np.ma.masked_array(ROWS, mask=ROWS == 5), ValueError, r"row 1, column 'x1'.*isnan"),
    ],
)
def test_bad_input_is_refused_in_words(x, error, message):
    with pytest.raises(error, match=message) as raised:
        as_data(x)
    assert type(raised.value) is error


def test_only_the_chosen_columns_are_looked_at():
    frame = FRAME.assign(b=[1.0, np.nan, np.inf])
    np.testing.assert_array_equal(as_data(frame, columns=["a"]).rows, ROWS[:, :1])
    with pytest.raises(TypeError, match=r"'kind'.*Leave it out of columns"):
        as_data(frame, columns=["a", "kind"])


def test_a_traced_array_is_refused_without_jaxs_own_error():
    with pytest.raises(TypeError, match="NumPy cannot read") as raised:
        jax.jit(as_data)(jnp.ones((2, 2)))
    assert type(raised.value) is TypeError


@given(tables, st.data())
def test_the_first_bad_cell_is_named_and_its_like_are_counted(x, data):
    cells = data.draw(st.sets(st.integers(0, x.size - 1), min_size=1))
    bad = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    x.ravel()[list(cells)] = bad
    row, column = divmod(min(cells), x.shape[1])
    with pytest.raises(ValueError, match=f"at row {row}, column 'x{column}'") as raised:
        as_data(x)
    rows = {cell // x.shape[1] for cell in cells}
    count = f"({len(cells)} such cells in {len(rows)} row{'s' * (len(rows) > 1)})"
    assert (count in str(raised.value)) == (len(cells) > 1)


# --- files


def write(path, text):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


@pytest.mark.parametrize(
    ("file", "text", "names"),
    [
        ("table.csv", "a,b\n1,4\n2,5\n3,6\n", ("a", "b")),
        ("table.csv", "\ufeffa,b\n1,4\n2,5\n3,6\n", ("a", "b")),
        ("table.csv", "a, b\r\n1, 4\r\n2, 5\r\n3, 6\r\n\r\n", ("a", "b")),
        ("table.csv.gz", "a,b\n1,4\n2,5\n3,6\n", ("a", "b")),
        ("table.CSV", "a,b\n1,4\n2,5\n3,6\n", ("a", "b")),
        ("table.tsv", "a\tb\n1\t4\n2\t5\n3\t6\n", ("a", "b")),
        ("table.csv", "1,4\n2,5\n3,6\n", ("x0", "x1")),
    ],
)
def test_text_files(tmp_path, file, text, names):
    path = write(tmp_path / file, text)
    for given_path in (path, str(path)):
        data = as_data(given_path)
        np.testing.assert_array_equal(data.rows, ROWS)
        assert (data.feature_names, data.name) == (names, "table")


def test_a_dotted_stem_is_kept(tmp_path):
    assert as_data(write(tmp_path / "run.2.csv", "a\n1\n")).name == "run.2"
    assert as_data(write(tmp_path / "run.2.csv.gz", "a\n1\n")).name == "run.2"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=30)
def test_text_files_keep_every_bit(tmp_path_factory, values):
    path = write(tmp_path_factory.mktemp("bits") / "x.csv", "\n".join(["a", *map(repr, values)]) + "\n")
    np.testing.assert_array_equal(as_data(path).rows[:, 0], values)


def test_parquet_files(tmp_path):
    FRAME.to_parquet(tmp_path / "table.parquet")
    data = as_data(tmp_path / "table.parquet", columns=["b", "a"])
    np.testing.assert_array_equal(data.rows, ROWS[:, ::-1])
    assert (data.feature_names, data.name) == (("b", "a"), "table")
    FRAME.set_index("kind").to_parquet(tmp_path / "indexed.parquet")
    assert as_data(tmp_path / "indexed.parquet").feature_names == ("a", "b")


@pytest.mark.parametrize(
    ("file", "text", "error", "message"),
    [
        ("t.csv", "a,b\n1,4\n2,\n", ValueError, r"NaN .* row 1, column 'b'.*dropna"),
        (
            "t.csv",
            "a,b\n1,4\n?,5\n",
            TypeError,
            r"text in column 'a' \(first '\?' at row 1\).*columns=\['b'\]",
        ),
        ("t.csv", "a,a\n1,4\n", ValueError, r"got 'a' twice"),
        ("t.csv", '"","a"\n"1",4\n"2",5\n', ValueError, r"without a name, number 0.*columns=\['a'\]"),
        ("t.csv", "", ValueError, r"'t.csv' could not be read as a table"),
        ("t.csv", "a,b\n", ValueError, r"got 0 x 2"),
        ("t.csv", 'a\n"1\n2\n', ValueError, r"'t.csv' could not be read as a table"),
        ("t.csv", "a\n1,2,3\n4,5\n6,7,8,9,10\n", ValueError, r"could not be read as a table"),
        ("t.parquet", "not parquet", ValueError, r"could not be read as Parquet"),
        ("t.xlsx", "?", ValueError, r"Expected a \.csv, .*got 't\.xlsx'"),
        ("t", "?", ValueError, r"Expected a \.csv, .*got 't'"),
        ("t.parquet.gz", "?", ValueError, r"Expected a \.csv"),
    ],
)
def test_bad_files_are_refused_in_words(tmp_path, file, text, error, message):
    with pytest.raises(error, match=message):
        as_data(write(tmp_path / file, text))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a\n\xff\xfe1\n")
    with pytest.raises(ValueError, match="could not be read as a table"):
        as_data(tmp_path / "t.csv")


def test_missing_files_and_unknown_names_are_told_apart(tmp_path):
    for path in ("missing.csv", "folder/faithful", tmp_path / "faithful"):
        with pytest.raises(FileNotFoundError, match="There is no file"):
            as_data(path)
    with pytest.raises(ValueError, match=r"Did you mean 'faithful'\?"):
        as_data("faithfull")


def test_a_file_goes_before_a_bundled_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_data("faithful").n_rows == 272
    write(tmp_path / "faithful", "?")
    with pytest.raises(ValueError, match=r"Expected a \.csv"):
        as_data("faithful")


# --- bundled data


@pytest.mark.parametrize(
    ("name", "shape", "means"),
    [
        ("faithful", (272, 2), [3.487783088235294, 70.8970588235294]),
        ("galaxies_26.96", (82, 1), [20.831463414634147]),
        ("galaxies_26.69", (82, 1), [20.828170731707317]),
        ("penguins", (342, 4), [43.92193, 17.15117, 200.91520, 4201.75439]),
    ],
)
def test_bundled_data(name, shape, means):
    frame = load_dataset(name)
    assert frame.shape == shape
    np.testing.assert_allclose(frame.mean(), means, rtol=1e-6)
    data = as_data(name)
    np.testing.assert_array_equal(data.rows, frame)
    assert (data.feature_names, data.name) == (tuple(frame.columns), name)
    assert list_datasets()[name].startswith(f"{shape[0]} x {shape[1]}: ")


def test_one_gaussian_on_bundled_data_has_the_reference_likelihood(cases):
    for name, reference in cases("A_em_ic_K1to3")["datasets"].items():
        if name in list_datasets():
            x = as_data(name).rows
            gaussian = scipy.stats.multivariate_normal(x.mean(axis=0), np.cov(x.T, bias=True))
            expected = reference["fits"]["full,K=1"]["best_loglik"]
            assert gaussian.logpdf(x).sum() == pytest.approx(expected, rel=1e-10)


def test_the_two_galaxies_differ_in_row_78_only():
    early, today = (load_dataset(f"galaxies_{version}")["velocity"] for version in ("26.96", "26.69"))
    assert np.flatnonzero(early != today).tolist() == [77]
    assert (early[77], today[77]) == (26.96, 26.69)
    for ask in (load_dataset, as_data):
        with pytest.raises(
            ValueError, match=r"(?s)row 78 is 26\.960.*'galaxies_26\.96' or 'galaxies_26\.69'"
        ):
            ask("galaxies")


def test_every_bundled_file_is_listed_and_the_list_is_a_copy():
    listed = list_datasets()
    assert all(load_dataset(name).notna().all(axis=None) for name in listed)
    listed.clear()
    assert list_datasets()
    with pytest.raises(ValueError, match=r"Did you mean 'penguins'\?"):
        load_dataset("penguin")


def test_arrays_need_no_pandas():
    code = (
        "import sys, numpy as np, bayesgmm as bg; bg.as_data(np.ones((2, 2))); bg.list_datasets()\n"
        "assert not {'pandas', 'jax', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- fit and predict


def test_check_fit_accepts_what_can_be_fitted():
    check_fit(as_data("faithful"), 272)
    check_fit(as_data([1.0, 2.0]), 2)
    check_fit(as_data([1e8, 1e8 + 1e-7, 1e8]), 1)
    check_fit(as_data(ROWS), 2, sample_weight=[1, 0, 2])


@pytest.mark.parametrize(
    ("x", "n_components", "sample_weight", "message"),
    [
        (ROWS, 4, None, "at least as many rows as components; got 3 for 4"),
        (ROWS, 3, [1, 1, 0], "rows of positive weight as components; got 2 for 3"),
        (ROWS[:1], 1, None, "two different rows; got a single row"),
        (np.ones((5, 2)), 2, None, "two different rows; got 5 identical rows"),
        (
            np.column_stack([ROWS, np.full(3, 7.5)]),
            1,
            None,
            r"constant in column 'x2', always 7\.5:.*\['x0', 'x1'\]",
        ),
        (np.column_stack([ROWS, np.ones((3, 2))]), 1, None, r"constant in column 'x2'.*so are 'x3'"),
        (np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 3.0]]), 1, [1, 1, 0], "constant in column 'x0', always 0"),
        ([-1e308, 1e308], 1, None, "'x0', inf, overflows"),
        ([0.0, 1e160], 1, None, "'x0', 1e[+]160, overflows"),
        ([0.0, 1e-160], 1, None, "'x0', 1e-160, vanishes"),
        (ROWS, 1, [1, 1], r"shape \(3,\)"),
    ],
)
def test_check_fit_refuses_in_words(x, n_components, sample_weight, message):
    with pytest.raises(ValueError, match=message):
        check_fit(as_data(x), n_components, sample_weight)


@pytest.mark.parametrize("n_rows", [60, 20_000])
@pytest.mark.parametrize("unit", [1.0, 1e200])
def test_dependent_features_are_named(n_rows, unit):
    def check(x):
        data, ones = as_data(x), np.ones(len(x))
        check_independent(data, RowMoments.of(data.rows), ones)

    x = unit * (np.random.default_rng(0).standard_normal((n_rows, 4)) * [1.0, 1e3, 1e-3, 1.0] + 50.0)
    check(x)
    x[:, 2] = x[:, 0] - 2.0 * x[:, 1]
    with pytest.raises(ValueError, match=r"'x1', 'x2' depend on each other linearly.*'diag'"):
        check(x)
    x[-1, 2] += 10.0 * unit  # one row is enough to tell them apart
    check(x)
    check(x[:3])  # three rows lie in a plane anyway


def test_check_width_compares_number_names_and_order():
    fitted = ("eruptions", "waiting")
    named = as_data("faithful")
    check_width(named, fitted)
    check_width(as_data(ROWS), fitted)  # an array brings no names
    check_width(named, ("x0", "x1"))  # nor did the fit
    for x, message in [
        (
            as_data(np.ones((2, 3))),
            r"the 2 features of the fit \(eruptions, waiting\); got 3 \(x0, x1, x2\)\. Choose",
        ),
        (as_data([3.6, 79.0]), r"got 1 \(x0\)\. A single row must have two dimensions"),
        (as_data("faithful", columns=[1, 0]), r"order of the fit.*columns=\['eruptions', 'waiting'\]"),
        (as_data(FRAME, columns=["a"]), r"Missing: eruptions, waiting\. Not in the fit: a\."),
        (as_data(FRAME, columns=["a", "b"]), r"missing eruptions, waiting, got a, b instead"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_width(x, fitted)


def test_sample_weight():
    np.testing.assert_array_equal(check_sample_weight(None, 3), np.ones(3))
    given_weight = np.array([1, 0, 2])
    weight = check_sample_weight(given_weight, 3)
    assert weight.dtype == np.float64
    weight[0] = 9.0
    assert given_weight[0] == 1
    for w in (
        pd.Series([1, 0, 2], index=[5, 6, 7]),
        jnp.array([1, 0, 2]),
        pl.Series([1, 0, 2]),
        [True, False, 2],
    ):
        np.testing.assert_array_equal(check_sample_weight(w, 3), [1.0, 0.0, 2.0])


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ([1, 2], ValueError, r"shape \(3,\), one for each row; got \(2,\)"),
        (1.0, ValueError, r"got \(\)"),
        (np.ones((3, 1)), ValueError, r"got \(3, 1\)"),
        ([1, -1, -2], ValueError, r"got -1\.0 at row 1 \(2 such\)"),
        ([1, 1, np.nan], ValueError, r"got nan at row 2"),
        ([np.inf, 1, 1], ValueError, r"got inf at row 0"),
        ([0, 0, 0], ValueError, r"zeros only"),
        ([1e13, 1, 1], ValueError, r"adds up to a number of rows; got 1e\+13"),
        ([1e-13, 0, 0], ValueError, r"adds up to a number of rows; got 1e-13"),
        ("count", TypeError, r"got the text 'count'.*x\['count'\]"),
        (["a", "b", "c"], TypeError, r"one number per row; got list"),
        ([1j, 1, 1], TypeError, r"complex weights"),
        ([[1], [1, 2], 3], TypeError, r"got list"),
    ],
)
def test_bad_sample_weight_is_refused_in_words(weight, error, message):
    with pytest.raises(error, match=message) as raised:
        check_sample_weight(weight, 3)
    assert type(raised.value) is error


# --- the standardisation


@st.composite
def varied_rows(draw):
    """Rows with some spread in every feature, around any offset and in any unit."""
    n, d = draw(st.integers(2, 30)), draw(st.integers(1, 4))
    x = draw(hnp.arrays(np.float64, (n, d), elements=finite))
    x[0] = x[-1] + draw(st.floats(1e-3, 1e3))
    unit = 10.0 ** draw(hnp.arrays(np.float64, d, elements=st.integers(-6, 6)))
    offset = draw(hnp.arrays(np.float64, d, elements=st.sampled_from([0.0, 1.0, -1e4, 1e8])))
    x = offset + unit * x
    assume((np.ptp(x, axis=0) > 1e-9 * np.abs(x).max(axis=0)).all())
    return x


def weights_for(n):
    return hnp.arrays(np.float64, n, elements=st.sampled_from([0.5, 1.0, 2.0, 3.25]))


@given(varied_rows(), st.booleans(), st.data())
def test_inverse_undoes_forward(x, common_scale, data):
    s = Standardisation.fit(x, data.draw(st.none() | weights_for(len(x))), common_scale)
    tolerance = 4 * np.spacing(np.abs(x).max(axis=0))
    assert (np.abs(s.inverse(s.forward(x)) - x) <= tolerance).all()


@given(varied_rows(), st.data())
def test_standardised_rows_have_mean_zero_and_variance_one(x, data):
    weight = data.draw(st.none() | weights_for(len(x)))
    z = Standardisation.fit(x, weight).forward(x)
    scale = np.abs(x).max(axis=0) / np.std(x, axis=0)  # how many digits the offset leaves
    tolerance = 1e-14 * (10 + scale)
    mean = np.average(z, axis=0, weights=weight)
    assert (np.abs(mean) <= tolerance).all()
    assert (np.abs(np.average((z - mean) ** 2, axis=0, weights=weight) - 1) <= 10 * tolerance).all()


@given(varied_rows())
def test_weights_are_repetitions(x):
    repeats = np.arange(len(x)) % 3
    assume((np.ptp(np.repeat(x, repeats, axis=0), axis=0) > 1e-6 * np.abs(x).max(axis=0)).all())
    once = Standardisation.fit(x, repeats)
    often = Standardisation.fit(np.repeat(x, repeats, axis=0))
    np.testing.assert_allclose(once.shift, often.shift, rtol=1e-13, atol=1e-13 * np.abs(x).max())
    np.testing.assert_allclose(once.scale, often.scale, rtol=1e-8)


@given(varied_rows(), st.floats(1e-3, 1e3), st.sampled_from([0.0, 1.0, -1e4]))
def test_a_change_of_units_changes_nothing_inside(x, a, b):
    y = a * x + b
    assume((np.ptp(y, axis=0) > 1e-6 * np.abs(y).max(axis=0)).all())
    assume((np.ptp(x, axis=0) > 1e-6 * np.abs(x).max(axis=0)).all())
    for common_scale in (False, True):
        if common_scale:
            spread = np.ptp(x, axis=0)
            assume(spread.max() < 1e3 * spread.min())
        z = Standardisation.fit(x, common_scale=common_scale).forward(x)
        np.testing.assert_allclose(Standardisation.fit(y, common_scale=common_scale).forward(y), z, atol=1e-5)


@given(varied_rows())
def test_log_jacobian_turns_densities_into_the_users_units(x):
    s = Standardisation.fit(x)
    inside = scipy.stats.norm.logpdf(s.forward(x)).sum(axis=1)
    outside = scipy.stats.norm(s.shift, s.scale).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(inside - s.log_jacobian, outside, rtol=1e-10, atol=1e-10)


def test_common_scale_is_the_root_mean_variance():
    x = np.array([[0.0, 0.0], [2.0, 6.0]])
    s = Standardisation.fit(x, common_scale=True)
    np.testing.assert_allclose(s.scale, np.full(2, np.sqrt((1 + 9) / 2)))
    assert s.log_jacobian == pytest.approx(math.log(5))
    constant = Standardisation.fit(np.array([[0.0, 1.0], [2.0, 1.0]]), common_scale=True)
    np.testing.assert_allclose(constant.scale, np.full(2, np.sqrt(0.5)))


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("offset", [0.0, 1e8, -1e8])
def test_large_offsets_lose_no_more_than_the_rows_did(offset, unit):
    z = np.random.default_rng(0).normal(size=(1000, 1))
    x = offset + unit * z
    s = Standardisation.fit(x)
    exact = x - offset  # without rounding: x was rounded already
    np.testing.assert_allclose(s.scale, exact.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(s.shift - offset, exact.mean(axis=0), atol=np.spacing(abs(offset) + unit))


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_extreme_units_neither_vanish_nor_overflow(unit):
    z = np.random.default_rng(1).normal(size=(50, 2))
    for common_scale in (False, True):
        s = Standardisation.fit(unit * z, common_scale=common_scale)
        np.testing.assert_allclose(s.scale, unit * Standardisation.fit(z, common_scale=common_scale).scale)


def test_rows_of_weight_zero_do_not_count():
    x = np.array([[1e300], [1.0], [3.0]])
    s = Standardisation.fit(x, np.array([0.0, 1.0, 1.0]))
    assert (s.shift.item(), s.scale.item()) == (2.0, 1.0)


def test_a_constant_feature_has_no_scale():
    for x, weight in [
        (np.array([[0.1, 1.0]] * 7 + [[0.1, 2.0]]), None),
        (np.array([[1.0], [2.0]]), np.array([1.0, 0.0])),
    ]:
        with pytest.raises(ValueError, match="constant one at column 0"):
            Standardisation.fit(x, weight)


@given(tables)
@settings(max_examples=20)
def test_identity_changes_nothing(x):
    s = Standardisation.identity(x.shape[1])
    np.testing.assert_array_equal(s.forward(x), x)
    np.testing.assert_array_equal(s.inverse(x), x)
    assert s.log_jacobian == 0.0


def test_standardisation_works_on_batches():
    x = np.arange(24.0).reshape(2, 3, 4) ** 2
    s = Standardisation.fit(x[0])
    np.testing.assert_array_equal(s.forward(x)[1], s.forward(x[1]))
    assert isinstance(as_data(x[0]), Data)


def test_a_read_only_array_is_not_copied():
    x = np.random.default_rng(0).standard_normal((50, 2))
    assert not np.shares_memory(as_data(x).rows, x)
    view = x.view()
    view.setflags(write=False)
    assert not np.shares_memory(as_data(view).rows, x)  # x itself can still be written to
    x.setflags(write=False)
    assert np.shares_memory(as_data(x).rows, x)
    with pytest.raises(ValueError, match="row 3, column 'x1'"):
        bad = np.where(np.arange(100).reshape(50, 2) == 7, np.nan, x)
        bad.setflags(write=False)
        as_data(bad)
