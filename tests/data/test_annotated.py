"""Files of AnnData: dense and sparse matrices, names of genes, and notes on cells in every encoding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reparam.data import load_data, load_items
from reparam.data.cells import read_counts
from reparam.data.formats import read_path
from reparam.data.raw import COUNTS, Told, Wanted
from reparam.errors import DataError

h5py = pytest.importorskip("h5py")

X = np.array([[0, 3, 0, 1], [2, 0, 0, 0], [0, 0, 5, 7]])
NAMES = ("Abc", "d-2", "E", "f")


def compressed(x: Any, axis: int) -> tuple[list[Any], list[int], list[int]]:
    """Values, indices and ends of the rows (axis 0) or columns (axis 1) of a matrix."""
    rows = [np.flatnonzero(row) for row in (x if axis == 0 else x.T)]
    values = [one for row, places in zip(x if axis == 0 else x.T, rows, strict=True) for one in row[places]]
    return values, np.concatenate(rows).tolist(), [0, *np.cumsum([len(row) for row in rows]).tolist()]


def write(path: Path, x: Any = X, encoding: str = "array", names: Any = NAMES, obs: Any = None, **parts: Any) -> Path:
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        if encoding == "array":
            file["X"] = x
        else:
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = encoding, np.array(x.shape)
            found = compressed(x, 0 if encoding == "csr_matrix" else 1)
            for part, values in zip(("data", "indices", "indptr"), found, strict=True):
                group[part] = parts.get(part, values)
        for frame, index in (("var", names), ("obs", [f"cell {number}" for number in range(len(x))])):
            group = file.create_group(frame)
            group.attrs["_index"] = "_index"
            group["_index"] = np.array(index, dtype=text)
        for name, values in (obs or {}).items():
            if isinstance(values, tuple):
                codes, categories = values
                group = file["obs"].create_group(name)
                group["codes"], group["categories"] = codes, np.array(categories, dtype=text)
            else:
                file["obs"][name] = np.array(values, dtype=text) if isinstance(values[0], str) else values
    return path


def read(path: Path, label: str = "", group: str = "") -> Any:
    return read_path(path, Wanted(told=Told(label, group)))


@pytest.mark.parametrize("encoding", ["array", "csr_matrix", "csc_matrix"])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_matrices_of_every_encoding(tmp_path: Path, encoding: str, dtype: Any) -> None:
    raw = read(write(tmp_path / "three.cells.h5ad", X.astype(dtype), encoding))
    assert np.array_equal(raw.parts["all"].x, X)
    assert (raw.name, raw.columns, raw.scale) == ("three", NAMES, COUNTS)
    assert raw.parts["all"].labels is None


def test_other_numbers_are_real(tmp_path: Path) -> None:
    for x in (X + 0.5, X - 1):
        data = load_items(write(tmp_path / "real.h5ad", x))
        assert data.spec.kind == "real"
        assert np.allclose(data.stored.numpy(), x)
    with pytest.raises(DataError, match="values=counts says whole numbers from 0 on"):
        load_items(tmp_path / "real.h5ad", values="counts")


def test_counts_are_counts_unless_read_as_real_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.h5ad")
    assert load_items(path).spec.kind == "counts"
    assert load_items(path, values="counts").spec.kind == "counts"
    assert load_items(path, values="real").spec.kind == "real"
    with pytest.raises(DataError, match="says itself what its axes and values are"):
        load_items(path, values="levels")


OBS = {
    "type": (np.array([1, 0, 1], np.int8), ["neuron", "muscle"]),
    "batch": ["one", "two", "one"],
    "Label": [4, 5, 4],
    "depth": [4.5, 2.0, 12.0],
    "gap": (np.array([0, -1, 0], np.int8), ["known"]),
}


def test_labels_and_groups_are_columns_of_obs(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.h5ad", obs=OBS)
    part = read(path).parts["all"]
    assert part.labels.tolist() == [4, 5, 4]
    assert part.groups is None
    part = read(path, "type", "batch").parts["all"]
    assert part.labels.tolist() == ["muscle", "neuron", "muscle"]
    assert part.groups.tolist() == ["one", "two", "one"]
    data = load_data(path, label_column="type")
    assert (data.spec.classes, data.spec.label_column) == (("muscle", "neuron"), "type")
    assert read(path, group="gap").parts["all"].groups.tolist() == ["known", "", "known"]
    only = read(write(tmp_path / "only.h5ad", obs={"group": ["p", "q", "p"], "y": [0.5, 1.5, 2.5]})).parts["all"]
    assert (only.labels.tolist(), only.groups) == (["p", "q", "p"], None)  # as in other tables; y holds fractions
    assert read(path, "gap").parts["all"].labels.tolist() == ["known", "", "known"]
    with pytest.raises(DataError, match=r"label_column='typ': .*obs has no such column; expected one of 'type'"):
        read(path, "typ")


def test_older_encodings(tmp_path: Path) -> None:
    path = write(tmp_path / "old.h5ad", encoding="csr_matrix")
    with h5py.File(path, "a") as file:
        del file["X"].attrs["encoding-type"], file["X"].attrs["shape"], file["var"]
        file["X"].attrs["h5sparse_format"], file["X"].attrs["h5sparse_shape"] = b"csr", np.array(X.shape)
        file["var"] = np.array([(name.encode(), 1) for name in NAMES], dtype=[("index", "S5"), ("n", int)])
        file["obs/__categories/type"] = np.array(["a", "b"], dtype=h5py.string_dtype())
        file["obs/type"] = np.array([1, 0, -1], np.int8)
        file["obs/type"].attrs["categories"] = file["obs/__categories/type"].ref
        file.create_group("obs/share")
        file["obs/share/values"], file["obs/share/mask"] = np.array([3, 1, 1]), np.array([False, True, False])
    raw = read(path, group="type")
    assert raw.columns == NAMES
    assert np.array_equal(raw.parts["all"].x, X)
    assert raw.parts["all"].groups.tolist() == ["b", "a", ""]
    assert read(path, group="share").parts["all"].groups.tolist() == ["3", "", "1"]


def test_entries_that_are_there_twice_are_summed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", X, "csr_matrix", data=[1, 2, 5, 1], indices=[0, 0, 1, 3], indptr=[0, 3, 3, 4])
    assert read(path).parts["all"].x.tolist() == [[3, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


def test_genes_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", np.tile(X, (4, 1)), obs={"type": ["a", "b", "b"] * 4})
    data = load_data(path, columns=["f", "Abc"], label_column="type")
    assert (data.spec.columns, data.spec.classes, data.spec.kind) == (("f", "Abc"), ("a", "b"), "counts")
    x = load_items(path, spec=data.spec).batch(slice(None)).x
    assert x[:3].tolist() == X[:, [3, 0]].tolist()
    with pytest.raises(DataError, match=r"columns='G': .*var has no such column; expected one of"):
        load_data(path, columns=["G"])


def test_genes_are_found_by_name(tmp_path: Path) -> None:
    spec = load_data(write(tmp_path / "one.h5ad")).spec
    other = write(tmp_path / "two.h5ad", X[:, ::-1], "csc_matrix", NAMES[::-1])
    assert np.array_equal(load_items(other, spec=spec).stored.numpy(), X)
    with pytest.raises(DataError, match="lacks the column 'Abc', which the model needs"):
        load_items(write(tmp_path / "three.h5ad", names=("x", *NAMES[1:])), spec=spec)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"names": NAMES[:3]}, r"X has shape \(3, 4\) for 3 names in var"),
        ({"encoding": "coo_matrix"}, "X is stored as 'coo_matrix'; expected an array, csr_matrix or csc_matrix"),
        ({"encoding": "csr_matrix", "indices": [0, 1, 2, 3, 4]}, "its indices do not fit its values"),
        ({"encoding": "csr_matrix", "indptr": [0, 2, 1, 5]}, "its indices do not fit its values"),
        ({"encoding": "csr_matrix", "data": [1, 2]}, "its indices do not fit its values"),
        ({"obs": {"label": [1, 2]}}, "obs has 2 rows for 3 rows of X"),
        ({"obs": {"label": (np.array([0, 2, 0]), ["a"])}}, "its codes do not fit its categories"),
        ({"x": np.array([[np.nan, 1.0]]), "names": NAMES[:2]}, "has nan in row 0, column 'Abc'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, parts: dict[str, Any], sentence: str) -> None:
    path = write(tmp_path / "wrong.h5ad", **parts)
    with pytest.raises(DataError, match=sentence):
        load_items(path)


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.h5ad"
    if content is None:
        with h5py.File(path, "w") as file:
            file["X"] = X
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"is truncated or damaged|is no AnnData file: expected X, obs and var in it"):
        read(path)


def test_what_is_kept_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(96))
    path = write(tmp_path / "cells.h5ad")
    with h5py.File(path, "a") as file:
        del file["X"]
        file.create_dataset("X", (3, 4), "i8", external=[(str(tmp_path / "secret"), 0, 96)])
    with pytest.raises(DataError, match="is kept in another file, which is not read"):
        read(path)


def test_counted_genes_that_vary_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cells.h5"
    counts = np.array([[1, 5, 0, 4], [1, 0, 9, 0], [2, 8, 0, 10]])
    with h5py.File(path, "w") as file:
        file["X"], file["Y"] = counts.astype(float), np.array([1.0, 2.0, 2.0])
    monkeypatch.setattr("reparam.data.cells.COUNTED_GENES", 2)
    raw = read_counts("cells", {"cells.h5": path}, Wanted())
    logs = np.log1p(10_000 * counts / counts.sum(1, keepdims=True))
    chosen = sorted(np.argsort(-logs.var(0))[:2].tolist())
    assert raw.columns == tuple(f"gene_{number}" for number in chosen)
    assert np.array_equal(raw.parts["all"].x, counts[:, chosen])
    assert raw.parts["all"].labels is not None
    assert (raw.parts["all"].labels.tolist(), raw.scale) == ([1, 2, 2], COUNTS)


@pytest.mark.data
@pytest.mark.parametrize(("name", "cells", "types"), [("worm-neuron", 4186, 10), ("mouse-bladder", 2100, 16)])
def test_the_cells_themselves(name: str, cells: int, types: int) -> None:
    data = load_data(name)
    assert (data.kind, data.shape, len(data.spec.classes)) == ("counts", (2000,), types)
    assert len(data.train) + len(data.validation) + len(data.test) == cells
