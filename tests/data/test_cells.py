"""Single cells: genes and proteins of several experiments, brought to what they have in common."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reparam.data import load_data
from reparam.data.cells import GENES, read_cells
from reparam.data.raw import Wanted
from reparam.errors import DataError

h5py = pytest.importorskip("h5py")


def write(path: Path, genes: str, varying: str, proteins: str, rna: Any, protein: Any) -> Path:
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file["X"] = np.asarray(rna, np.float32)
        file["var/index"] = np.array(list(genes), dtype=text)
        file["var/highly_variable"] = np.array([gene in varying for gene in genes])
        file["uns/protein_names"] = np.array([f"{protein}_TotalSeqB" for protein in proteins], dtype=text)
        file["obsm/protein_expression"] = np.asarray(protein, np.int64)
    return path


def test_experiments_are_brought_to_what_they_share(tmp_path: Path) -> None:
    one = write(tmp_path / "a_protein_v3.h5ad", "ABCD", "ABC", "xy", [[1, 0, 3, 0], [0, 0, 0, 0]], [[7, 1], [0, 2]])
    two = write(tmp_path / "b_protein_v3.h5ad", "DCEA", "DCA", "zyx", [[2, 4, 2, 0]], [[5, 6, 0]])
    raw = read_cells("cells", {"a_protein_v3.h5ad": one, "b_protein_v3.h5ad": two}, Wanted())
    part = raw.parts["all"]
    expected = np.log1p(10_000 * np.array([[1 / 4, 3 / 4], [0, 0], [0, 4 / 8]]))
    assert np.allclose(part.x, expected)  # A and C: in both, and varying in both
    assert np.allclose(part.others["protein"], np.log1p([[7, 1], [0, 2], [0, 6]]))  # x and y, by name
    assert part.labels is not None
    assert part.labels.tolist() == [0, 0, 1]
    assert (raw.classes, raw.called, raw.views) == (("a", "b"), "rna", ("rna", "protein"))


def test_the_genes_that_vary_most_are_kept_in_their_order(tmp_path: Path) -> None:
    names = [f"g{number}" for number in range(GENES + 1)]
    rna = np.zeros((2, GENES + 1))
    rna[0, 1:] = 1  # the first one does not vary
    text = h5py.string_dtype()
    path = write(tmp_path / "one.h5ad", "", "", "x", rna, [[1], [2]])
    with h5py.File(path, "a") as file:
        del file["var"]
        file["var/index"] = np.array(names, dtype=text)
        file["var/highly_variable"] = np.ones(GENES + 1, bool)
    x = read_cells("cells", {"one.h5ad": path}, Wanted()).parts["all"].x
    assert x.shape == (2, GENES)
    assert (x[0] > 0).all()


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.h5ad"
    if content is None:
        with h5py.File(path, "w") as file:
            file["X"] = np.zeros((2, 2))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="does not hold cells"):
        read_cells("cells", {"other.h5ad": path}, Wanted())


@pytest.mark.data
def test_the_cells_themselves() -> None:
    data = load_data("single-cell")
    assert [(one.name, one.shape) for one in data.spec.observations] == [("rna", (500,)), ("protein", (14,))]
    assert [len(data.train), len(data.validation), len(data.test)] == [320, 40, 40]
    assert data.spec.classes == ("pbmc_10k", "pbmc_5k")
