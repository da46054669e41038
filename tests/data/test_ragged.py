"""Sequences of several lengths: what their lengths may be, what lies behind their ends, and how they are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reparam.data import Split, load_data, load_items
from reparam.data.raw import Array
from reparam.errors import DataError

LENGTHS = np.array([5, 3, 1, 4, 2, 5, 3, 4])


def tracks(dtype: Any = np.float64, numbers: int = 2) -> list[Array]:
    """Sequences (D, T_i)."""
    rng = np.random.default_rng(0)
    if dtype == np.uint8:
        return [rng.integers(0, 2, (numbers, steps), dtype=np.uint8) for steps in LENGTHS]
    return [rng.normal(size=(numbers, steps)) for steps in LENGTHS]


def whole(filled: float = 0.0) -> Array:
    """The same in one array (N, D, T)."""
    x = np.full((len(LENGTHS), 2, 5), filled)
    for row, one in zip(x, tracks(), strict=True):
        row[:, : one.shape[1]] = one
    return x


def require_tracks(items: Split, given: list[Array]) -> None:
    assert items.named["lengths"].flatten().tolist() == LENGTHS.tolist()
    for x, one in zip(items.stored.double().numpy(), given, strict=True):
        assert np.allclose(x[:, : one.shape[1]], one)
        assert not x[:, one.shape[1] :].any()


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        (np.full(5, 3), r"has 8 sequences, and lengths of shape \(5,\), type int64; expected one whole number"),
        (np.zeros(8, np.int64), "run from 0 to 0; expected one whole number for each sequence, from 1 to 5"),
        (LENGTHS + 1, "run from 2 to 6; expected one whole number"),
        (LENGTHS - 0.5, "run from 0.5 to 4.5; expected one whole number"),
        (LENGTHS * np.nan, "run from nan to nan"),
        (np.stack([LENGTHS, LENGTHS], 1), r"lengths of shape \(8, 2\)"),
        (LENGTHS.astype(str), "type <U21; expected one whole number"),
    ],
)
@pytest.mark.parametrize("declared", [{}, {"axes": "NTC"}, {"values": "real"}])
def test_lengths_that_are_none_are_refused(lengths: Array, said: str, declared: Any) -> None:
    x = whole().swapaxes(1, 2) if "axes" in declared else whole()
    with pytest.raises(DataError, match=said):
        load_data({"x": x, "lengths": lengths}, **declared)


def test_only_sequences_have_lengths() -> None:
    with pytest.raises(DataError, match=r"has lengths, but axes=NHW; expected sequences"):
        load_data({"x": whole(), "lengths": LENGTHS}, axes="NHW")
    with pytest.raises(DataError, match="has lengths, but examples of shape 2; expected sequences"):
        load_data({"x": whole()[..., 0], "lengths": LENGTHS})


@pytest.mark.parametrize("filled", [np.nan, np.inf, -1.0, 1e9])
@pytest.mark.parametrize("axes", ["auto", "NTC"])
def test_what_lies_behind_the_end_is_not_looked_at(filled: float, axes: Any) -> None:
    x = whole(filled)
    given = x.copy() if axes == "auto" else x.swapaxes(1, 2).copy()
    before = given.copy()
    lengths = LENGTHS[:, None].astype(float)  # as MATLAB keeps them
    require_tracks(load_items({"x": given, "lengths": lengths}, axes=axes), tracks())
    assert np.array_equal(given, before, equal_nan=True)
    data = load_data({"x": given, "lengths": lengths}, axes=axes)
    assert data.spec == load_data({"x": whole(), "lengths": LENGTHS}, name="dict").spec or axes == "NTC"
    given[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="nan in row 0"):
        load_data({"x": given, "lengths": lengths}, axes=axes)


def test_splits_of_several_longest_sequences_are_as_long() -> None:
    arrays = {"x_train": whole(np.nan), "lengths_train": LENGTHS, "x_test": whole()[[2, 4], :, :2]}
    data = load_data(arrays | {"lengths_test": LENGTHS[[2, 4]]})
    assert data.test.stored.shape == (2, 2, 5)
    assert data.test.named["lengths"].tolist() == [[1], [2]]


@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
@pytest.mark.parametrize("axes", ["NCT", "NTC"])
@pytest.mark.parametrize("kind", ["list", "x", "beside", "train"])
def test_lists_of_sequences(dtype: Any, axes: Any, kind: str) -> None:
    own = tracks(dtype)
    given: Any = own if axes == "NCT" else [one.T for one in own]
    labels = np.arange(8) % 2
    source = {"list": given, "x": {"x": given}, "beside": {"x": given, "y": labels}, "train": {"x_train": given}}[kind]
    items = load_items(source, axes=axes)
    require_tracks(items, own)
    assert items.labels is None or items.labels.tolist() == labels.tolist()
    assert (items.labels is not None) == (kind == "beside")
    again = load_items(given[1:2] if axes == "NCT" else given[1], spec=items.spec)  # one alone, as the model knows them
    assert again.named["lengths"].tolist() == [[3]]
    assert torch.equal(again.stored[0], items.stored[1])


def test_lists_of_one_length_beside_others() -> None:
    data = load_data({"x_train": tracks(), "x_test": [np.ones((2, 3)), np.ones((2, 3))]})
    assert data.test.named["lengths"].tolist() == [[3], [3]]
    with pytest.raises(DataError, match="has lengths beside a list of arrays, which have their own"):
        load_data({"x": tracks(), "lengths": LENGTHS})
    with pytest.raises(DataError, match="say axes=NCT if they are of bytes"):
        load_data(tracks(np.uint8))


@pytest.mark.parametrize("axes", ["auto", "NTC"])
def test_columns_of_lists_are_sequences(tmp_path: Path, axes: Any) -> None:
    pd = pytest.importorskip("pandas")
    own, first = tracks(), [one[:1] for one in tracks()]
    sources = {
        "steps": {"track": [one.T.tolist() for one in own]},
        "numbers": {"track": [one[0].tolist() for one in own]},
        "pair": {"a": [one[0].tolist() for one in own], "b": [one[1].tolist() for one in own]},
        "long": {"track": whole().swapaxes(1, 2).tolist(), "Length": LENGTHS},
    }
    for name, columns in sources.items():
        frame = pd.DataFrame(columns | {"label": ["u", "v"] * 4})
        frame.to_parquet(tmp_path / f"{name}.parquet")
        for source in (frame, tmp_path / f"{name}.parquet"):
            items = load_items(source, axes=axes)
            require_tracks(items, first if name == "numbers" else own)
            assert items.labels.tolist() == [0, 1] * 4
            one = load_items(frame[:1], spec=items.spec)
            assert torch.equal(one.stored, items.stored[:1])


def test_lists_of_one_length_are_vectors(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    pd.DataFrame({"code": x.tolist()}).to_parquet(tmp_path / "a.parquet")
    assert np.array_equal(load_items(tmp_path / "a.parquet").stored.numpy(), x)
    assert load_items(tmp_path / "a.parquet", axes="NCT").stored.shape == (8, 1, 3)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"t": [[1.5, 2.5], [], [3.5]]}, "column 't', row 1 is an empty list"),
        ({"t": [[1.5, 2.5], None, [3.5]]}, "column 't', row 1 is None"),
        ({"t": [[[1.5, 2.5], [1.5]], [[3.5, 1.0]]]}, "row 0 holds lists that differ in length"),
        ({"t": [[[1.5, 2.5]], [[3.5]]]}, "rows of 1 and of 2 numbers at each step"),
        ({"t": [[1.5], [2.5, 3.5]], "u": [[1.5], [2.5]]}, "row 1 has 2 steps in 't' and 1 in 'u'"),
        ({"t": [[1.5], [2.5, 3.5]], "u": [1.5, 2.5]}, "columns 'u' stand beside columns of lists"),
        ({"t": [[1.5], [2.5, 3.5]], "length": [1, 3]}, "row 1 has 2 steps and the length 3"),
        ({"t": [["a"], ["b", "c"]]}, "expected numbers"),
    ],
)
def test_bad_columns_of_lists(columns: Any, said: str) -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=said):
        load_data(pd.DataFrame(columns))


def test_lengths_beside_no_sequences_are_a_feature(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("length,width\n1.5,2\n3,4\n2,2\n")
    with pytest.warns(UserWarning, match=r"a\.csv: the column 'length' is taken as a feature"):
        assert load_items(tmp_path / "a.csv").spec.columns == ("length", "width")


@pytest.mark.parametrize("axes", ["auto", "NTC"])
def test_a_folder_of_sequences(tmp_path: Path, axes: Any) -> None:
    own = tracks()
    for number, one in enumerate(own):
        np.save(tmp_path / f"{number}.npy", one.T if axes == "NTC" else one)
    items = load_items(tmp_path, axes=axes)
    require_tracks(items, own)
    require_tracks(load_items(f"{tmp_path}/*.npy", spec=items.spec), own)
    for number in range(8):
        (tmp_path / f"{number}.npy").rename(tmp_path / f"{'test' if number in (2, 4) else 'train'}-{number}.npy")
    data = load_data(tmp_path, axes=axes)
    assert data.test.named["lengths"].tolist() == [[1], [2]]
    assert data.shape == (2, 5)
    np.save(tmp_path / "train-9.npy", np.ones((7, 7)))
    with pytest.raises(DataError, match=r"train-9\.npy has shape|put one sequence \(D, T\) in each file"):
        load_data(tmp_path, axes=axes)


def test_positive_numbers_of_sequences_are_no_grey_values() -> None:
    draws = np.random.default_rng(0)
    data = load_data({"x": [2 + 4 * draws.random((2, steps)) for steps in (3, 5, 4) * 10]})
    assert (data.kind, data.shape, data.spec.divisor) == ("real", (2, 5), 1.0)
    assert data.spec.shift == pytest.approx((4.0, 4.0), abs=0.5)
