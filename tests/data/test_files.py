import gzip
import struct
import zipfile
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from numpy.lib import format as npy

from reparam.data import load_data, load_items
from reparam.data.matlab import mat_arrays
from reparam.data.raw import Array
from reparam.errors import DataError, DataNotFoundError

X = np.random.default_rng(0).integers(0, 256, (12, 4, 5), dtype=np.uint8)


def write_idx(path: Path, array: Array, announce: tuple[int, ...] | None = None) -> Path:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *(announce or array.shape))
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_npz_with_splits(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", X_train=X, train_labels=np.arange(12) % 2, valid_data=X[:2], x_test=X[:3], notes=np.ones(7)
    )
    with pytest.warns(UserWarning, match=r"a\.npz: 'notes' is left out"):
        data = load_data(tmp_path / "a.npz")
    assert [len(data.train), len(data.validation), len(data.test)] == [12, 2, 3]
    assert data.labels.tolist() == [0, 1] * 6
    assert data.spec.name == "a"


@pytest.mark.parametrize("keys", [{"x": X}, {"data": X}, {"images": X}, {"whatever": X}, {"train": X}])
def test_npz_keys(tmp_path: Path, keys: dict[str, Array]) -> None:
    np.savez(tmp_path / "a.npz", **keys)
    assert torch.equal(load_items(tmp_path / "a.npz").stored[:, 0], torch.from_numpy(X))


def test_npz_class_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=np.arange(12) % 3, classes=np.array(["red", "green", "blue"]))
    assert load_data(tmp_path / "a.npz").spec.classes == ("red", "green", "blue")


def test_npy_in_fortran_order_and_other_endian(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(X.astype(">i4")))
    assert torch.equal(load_items(str(tmp_path / "a.npy")).stored[:, 0], torch.from_numpy(X))


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz", "a.idx", "a.idx.gz"])
def test_idx(tmp_path: Path, name: str) -> None:
    path = write_idx(tmp_path / name, X)
    assert torch.equal(load_items(path).stored[:, 0], torch.from_numpy(X))


def test_a_folder_of_idx_files(tmp_path: Path) -> None:
    for stem, array in (("train", X), ("t10k", X[:4])):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte.gz", array)
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte.gz", np.arange(len(array), dtype=np.uint8))
    data = load_data(tmp_path)
    assert [len(data.train), len(data.validation), len(data.test)] == [11, 1, 4]
    assert data.test.labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("content", ["0 1 1\n1 0 0\n", "0 1 1 \r\n1 0 0", "0.0 1 1\n\n1 0 0\n"])
def test_amat(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.amat.gz").write_bytes(gzip.compress(content.encode()))
    items = load_items(tmp_path / "a.amat.gz")
    assert items.stored.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert items.spec.kind == "binary"


@pytest.mark.parametrize("compress", [False, True])
def test_mat(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "a.mat"
    names = np.array(["one", "two"], dtype=object)
    arrays = {"X": np.arange(12.0).reshape(4, 3) / 8, "labels": np.array([[1], [0], [1], [0]]), "u": X, "s": {"k": 1}}
    scipy.io.savemat(path, {**arrays, "classnames": names}, do_compression=compress)
    found = mat_arrays(path)
    assert np.array_equal(found["X"], arrays["X"])
    assert np.array_equal(found["u"], X)
    items = load_items(path)
    assert (items.labels.tolist(), items.spec.classes) == ([1, 0, 1, 0], ("one", "two"))


@pytest.mark.parametrize(
    ("content", "columns", "classes", "rows"),
    [
        ("a,b\n1,2\n3,4.5\n", ("a", "b"), (), 2),
        ("1,2\n3,4.5\n", (), (), 2),
        ("a;b;label\n1;2;cat\n3;4;dog\n", ("a", "b"), ("cat", "dog"), 2),
        ("1,2,cat\n3,4,dog\n", (), ("cat", "dog"), 2),
        ("a,Class,b\n1,7,2\n3,8,4\n", ("a", "b"), ("7", "8"), 2),
        ("a\tgroup\n1\t0.5\n3\t0.25\n", ("a", "group"), (), 2),
        (",a,b\n0,1,2\n1,3,4\n", ("a", "b"), (), 2),
        ("0,1,2,3,4,5,0\n.1,.2,.3,.4,.5,.6,7\n", ("0", "1", "2", "3", "4", "5", "0"), (), 1),
        ('"a ""q""",b\r\n1,2\r\n\r\n3,4\r\n', ('a "q"', "b"), (), 2),
        ("\ufeffa,b\n1e-3,-2\n", ("a", "b"), (), 1),
        ("age;height\n3;146,5\n4;-1,25\n", ("age", "height"), (), 2),
        ("a,b,label\nTrue,False,x\nFalse,True,y\n", ("a", "b"), ("x", "y"), 2),
    ],
)
def test_csv(tmp_path: Path, content: str, columns: tuple[str, ...], classes: tuple[str, ...], rows: int) -> None:
    for name, data in (("a.csv", content.encode()), ("a.csv.gz", gzip.compress(content.encode()))):
        (tmp_path / name).write_bytes(data)
        items = load_items(tmp_path / name)
        assert (items.spec.columns, items.spec.classes, len(items)) == (columns, classes, rows)
        assert (items.labels is not None) == bool(classes)


def test_fractions_that_are_called_as_labels_are_part_of_x_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,target\n1,0.5\n3,0.25\n5,0.75\n")
    with pytest.warns(UserWarning, match=r"'target' is called as labels are.*it is taken as a part of x.*columns="):
        spec = load_data(tmp_path / "a.csv").spec
    assert spec.columns == ("a", "target")
    assert load_data(tmp_path / "a.csv", columns=["a"]).spec.columns == ("a",)
    assert load_data(tmp_path / "a.csv", columns=["a", "target"]).spec.columns == ("a", "target")
    assert load_items(tmp_path / "a.csv", spec=spec).spec.columns == ("a", "target")  # a model knows it


@pytest.mark.parametrize("kind", ["csv", "frame", "parquet"])
def test_dates_are_no_labels(tmp_path: Path, kind: str) -> None:
    pd = pytest.importorskip("pandas")
    days = pd.date_range("2020-01-30", periods=6)
    frame = pd.DataFrame({"a": np.arange(6) / 2, "when": days.where(days.day != 31)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path / "a.parquet")
    source = frame if kind == "frame" else tmp_path / f"a.{kind}"
    with pytest.raises(DataError, match=r"the column 'when' holds dates; expected numbers\. Leave it out.*columns="):
        load_data(source)
    assert load_data(source, columns=["a"]).spec.classes == ()
    assert len(load_data(source, label_column="when").spec.classes) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no rows"),
        ("a,b\n", "header but no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells, the first has 2"),
        ("a,b\n1,2\nx,4\n5,6\n", "column 'a', row 1 .* has 'x'"),
        ("a,b\n1,2\n,4\n5,6\n", "column 'a', row 1 .* has an empty cell"),
        ("a,b\n1,2\nNA,4\nn/a,6\n", "column 'a', row 1 .* has 'NA'; expected a number"),
        ("a,b\n1,True\n2,NA\n3,False\n", "column 'b', row 1 .* has 'na'; expected a number"),
        ("a,b,c\n1,x,p\n3,y,q\n", r"columns 'b', 'c' are text.*--data\.label_column NAME"),
        ("a,b\n1,2\n3,nan\n", "nan in row 1, column 'b'"),
        ("a,b\n1,2\n3,inf\n", "inf in row 1, column 'b'"),
        ("label\n1\n2\n", "no column of numbers"),
        ("\xff\xfe", "not a text table"),
    ],
)
def test_bad_csv(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "a.csv")


def test_parquet(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pd.DataFrame({"a": [1.5, 2.0], "target": ["u", "v"], "b": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    items = load_items(tmp_path / "a.parquet")
    assert (items.spec.columns, items.spec.classes) == (("a", "b"), ("u", "v"))
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match="truncated or damaged"):
        load_items(tmp_path / "b.parquet")


def whole_files(folder: Path) -> list[Path]:
    np.savez_compressed(folder / "a.npz", x=X)
    np.save(folder / "a.npy", X)
    write_idx(folder / "a.idx", X)
    write_idx(folder / "a.idx.gz", X)
    scipy.io.savemat(folder / "a.mat", {"x": X})
    scipy.io.savemat(folder / "b.mat", {"x": X}, do_compression=True)
    (folder / "a.amat.gz").write_bytes(gzip.compress(b"0 1 1\n" * 50))
    return sorted(folder.iterdir())


def test_truncated_files(tmp_path: Path) -> None:
    for path in whole_files(tmp_path):
        content = path.read_bytes()
        load_items(path)
        for cut in (0, 3, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:cut])
            with pytest.raises(DataError) as caught:
                load_items(path)
            assert path.name in str(caught.value)
            assert "\n" not in str(caught.value)


def header_only(shape: tuple[int, ...], dtype: str = "|u1") -> dict[str, object]:
    return {"descr": dtype, "fortran_order": False, "shape": shape}


def test_absurd_headers_allocate_nothing(tmp_path: Path) -> None:
    absurd = (1 << 40, 1 << 10)
    with (tmp_path / "a.npy").open("wb") as stream:
        npy.write_array_header_1_0(stream, header_only(absurd))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("x.npy", "w") as stream:
        npy.write_array_header_1_0(stream, header_only(absurd))
    write_idx(tmp_path / "a.idx", X, announce=(1 << 31, 1 << 15, 1 << 15))
    write_idx(tmp_path / "a.idx.gz", X, announce=(1 << 31, 1 << 15, 1 << 15))
    for name in ("a.npy", "a.npz", "a.idx", "a.idx.gz"):
        with pytest.raises(DataError, match="decompression bomb"):
            load_items(tmp_path / name)
    write_idx(tmp_path / "b.idx.gz", X, announce=(20_000, 10, 100))
    with pytest.raises(DataError, match="were announced"):
        load_items(tmp_path / "b.idx.gz")


def test_more_than_announced(tmp_path: Path) -> None:
    write_idx(tmp_path / "a.idx", X, announce=(11, 4, 5))
    with pytest.raises(DataError, match="more than the 220 bytes"):
        load_items(tmp_path / "a.idx")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reparam.data.limits.MODEST_BYTES", 1 << 20)
    zeros = bytes(3 << 20)
    (tmp_path / "a.amat.gz").write_bytes(gzip.compress(zeros))
    with pytest.raises(DataError, match="decompression bomb"):
        load_items(tmp_path / "a.amat.gz")
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as stream,
    ):
        npy.write_array_header_1_0(stream, header_only((len(zeros),)))
        stream.write(zeros)
    with pytest.raises(DataError, match="decompression bomb"):
        load_items(tmp_path / "a.npz")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, "a"], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([[1], [1, 2]], dtype=object), allow_pickle=True)
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    for name, message in (("a.npy", "never read"), ("a.npz", "."), ("a.pkl", "never read")):
        with pytest.raises(DataError, match=message):
            load_items(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xyz", b"", "ending we do not read"),
        ("a.mat", b"\x89HDF\r\n\x1a\n" + bytes(200), "7.3"),
        ("a.mat", b"hello", "MATLAB v5 header"),
        ("a.amat", b"0 1\n1\n", "different lengths"),
        ("a.amat", b"0 one\n", "not a text of numbers"),
        ("a.amat", b"\n", "no rows"),
        ("a.idx", b"\x01\x02\x03\x04", "no IDX header"),
        ("a.npz", b"PK", "truncated or damaged"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / name)


def test_missing_sources_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="Did you mean 'fashion-mnist'"):
        load_data("fasion_mnist")
    with pytest.raises(DataNotFoundError, match="nowhere"):
        load_data(tmp_path / "nowhere.npz")


def test_columns_of_truths_are_numbers(tmp_path: Path) -> None:
    """As ``pandas.get_dummies`` writes them; the only column of words is the labels."""
    rows = [f"{i},{i % 2 == 0},{i % 3 == 0},{'ab'[i % 2]}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["age,even,third,kind", *rows]))
    data = load_data(tmp_path / "t.csv")
    assert data.spec.columns == ("age", "even", "third")
    assert data.spec.classes == ("a", "b")
    assert set(data.train.batch(slice(None)).x[:, 1].tolist()) == {0.0, 1.0}
    (tmp_path / "t.csv").write_text("\n".join(["age,even", *(f"{i},{i % 2 == 0}" for i in range(30))]))
    assert load_data(tmp_path / "t.csv").spec.columns == ("age", "even")  # alone too, as in a data frame


@pytest.mark.parametrize("kind", ["csv", "parquet", "streamed", "frame", "hub"])
def test_truths_of_any_table_are_0_and_1(tmp_path: Path, kind: str) -> None:
    """Beside numbers, alone, and as labels; the only column of words is the labels here too."""
    pd = pytest.importorskip("pandas")
    smoker, rows = np.arange(60) % 3 == 0, np.arange(60)
    frame = pd.DataFrame(
        {"age": rows / 7, "smoker": smoker, "male": rows % 2 == 0, "kind": np.array(["u", "v"])[rows % 2]}
    )
    frame = frame.astype({"male": "boolean"})

    def found(chosen: Any) -> Any:
        chosen.to_csv(tmp_path / "t.csv", index=False)
        chosen.to_parquet(tmp_path / "t.parquet", row_group_size=4)
        hub = pytest.importorskip("datasets").Dataset.from_pandas(chosen) if kind == "hub" else None
        source = {"frame": chosen, "hub": hub, "csv": tmp_path / "t.csv"}.get(kind, tmp_path / "t.parquet")
        return load_data(source, stream=kind == "streamed").train.take(torch.arange(20))

    train = found(frame)
    assert (train.spec.kind, train.spec.classes, train.spec.columns) == ("real", ("u", "v"), ("age", "smoker", "male"))
    for (age, smokes, male), label in zip(train.stored.tolist(), train.labels.tolist(), strict=True):
        assert (smokes, male, label) == (smoker[round(7 * age)], round(7 * age) % 2 == 0, round(7 * age) % 2)
    assert found(frame[["smoker", "male"]]).spec.kind == "binary"
    assert found(frame[["age", "smoker"]].rename(columns={"smoker": "label"})).spec.classes == ("False", "True")


def test_missing_truths_are_gaps_in_frames_too() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"age": np.arange(40) / 7, "smoker": pd.array([True, None] * 20, dtype="boolean")})
    with pytest.raises(DataError, match="nan in row 1, column 'smoker'"):
        load_data(frame)
    data = load_data(frame, observations=("age", "smoker"))
    assert [one.kind for one in data.spec.observations] == ["real", "binary"]
    assert all(isnan(x[1]) == (round(7 * x[0]) % 2 == 1) for x in data.train.stored.tolist())


def test_words_for_missing_values_are_gaps(tmp_path: Path) -> None:
    """However many they are: a column of numbers does not become the labels."""
    rows = [f"{i % 5 if i % 3 == 0 else ('NA', 'n/a', '', 'null')[i % 4]},{i}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["dose,age", *rows]))
    data = load_data(tmp_path / "t.csv", observations=("dose", "age"))
    assert [one.kind for one in data.spec.observations] == ["real", "real"]
    assert all(isnan(x[0]) == (x[1] % 3 != 0) for x in data.train.batch(slice(None)).x.tolist())
