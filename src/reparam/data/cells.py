"""Readers of single cells: what is counted of genes, and of proteins, in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reparam.data.annotated import opened, values
from reparam.data.limits import check_expansion
from reparam.data.raw import COUNTS, REAL, Array, Part, Raw, Wanted
from reparam.errors import DataError, MissingExtraError

GENES = 500
COUNTED_GENES = 2_000
DEPTH = 10_000.0
ENDING = "_TotalSeqB"


@dataclass(frozen=True)
class Counted:
    """One experiment: counts (cells, genes) and (cells, proteins), their names, and which genes vary most."""

    rna: Array
    genes: list[str]
    varying: frozenset[str]
    protein: Array
    proteins: list[str]


def read_cells(name: str, files: Mapping[str, Path], wanted: Wanted) -> Raw:
    """Cells of several experiments, as far as they counted the same; the label of a cell is its experiment.

    Genes are those that vary most, of those that every file marks so: log(1 + 10,000 n / sum of all n of the cell).
    Proteins are log(1 + n).

    Raises:
        MissingExtraError: if h5py is not installed.
        DataError: if a file is not what it should be.
    """
    experiments = {Path(file).stem.partition("_protein")[0]: counted(path) for file, path in files.items()}
    first, *others = experiments.values()
    genes = [gene for gene in first.genes if all(gene in one.varying for one in experiments.values())]
    proteins = [protein for protein in first.proteins if all(protein in one.proteins for one in others)]
    rna = np.concatenate([columns(per_depth(one.rna), one.genes, genes) for one in experiments.values()])
    chosen = np.sort(np.argsort(-rna.var(0), kind="stable")[:GENES])
    protein = np.concatenate([columns(one.protein, one.proteins, proteins) for one in experiments.values()])
    labels = np.repeat(np.arange(len(experiments)), [len(one.rna) for one in experiments.values()])
    part = Part(rna[:, chosen], labels, others={"protein": np.log1p(protein, dtype=np.float32)})
    return Raw(name, {"all": part}, classes=tuple(experiments), scale=REAL, called="rna", views=("rna", "protein"))


def read_counts(name: str, files: Mapping[str, Path], wanted: Wanted) -> Raw:
    """Counts ``X`` of the genes whose log(1 + 10,000 n / sum of all n of the cell) varies most; labels are types ``Y``.

    Raises:
        MissingExtraError: if h5py is not installed.
        DataError: if the file is not what it should be.
    """
    (path,) = files.values()
    with opened(path) as file:
        check_expansion(str(path), 4 * file["X"].size, path.stat().st_size)
        x = np.empty(file["X"].shape, np.float32)
        file["X"].read_direct(x)
        types = values(file["Y"], f"{path}: Y").astype(np.int64)
    chosen = np.sort(np.argsort(-spread(x), kind="stable")[:COUNTED_GENES])
    columns = tuple(f"gene_{number}" for number in chosen.tolist())
    return Raw(name, {"all": Part(x[:, chosen], types)}, columns, scale=COUNTS)


def counted(path: Path) -> Counted:
    """One file of AnnData: ``X``, ``var``, ``obsm/protein_expression`` and ``uns/protein_names``."""
    try:
        import h5py
    except ImportError as missing:
        raise MissingExtraError("Single cells", "h5py", "cells") from missing
    try:
        with h5py.File(path) as file:
            genes = list(file["var/index"].asstr()[:])
            varying = frozenset(np.array(genes)[file["var/highly_variable"][:]].tolist())
            proteins = [protein.removesuffix(ENDING) for protein in file["uns/protein_names"].asstr()[:]]
            return Counted(file["X"][:], genes, varying, file["obsm/protein_expression"][:], proteins)
    except (OSError, KeyError, AttributeError, TypeError, IndexError) as fault:
        raise DataError(
            f"{path} does not hold cells with counts of genes and proteins ({fault}). Fetch it again."
        ) from None


def per_depth(counts: Array) -> NDArray[np.float32]:
    """log(1 + 10,000 n / sum of n) of each cell."""
    depth = counts.sum(1, keepdims=True, dtype=np.float64)
    return np.log1p(DEPTH * counts / np.maximum(depth, 1)).astype(np.float32)


def spread(counts: Array) -> Array:
    """Variance of log(1 + 10,000 n / sum of n) of each gene, from what is not zero, which is little."""
    rows, genes = np.nonzero(counts)
    logs = np.log1p(DEPTH * counts[rows, genes] / counts.sum(1, dtype=np.float64)[rows])
    mean, square = (np.bincount(genes, of, counts.shape[1]) / len(counts) for of in (logs, logs**2))
    found: Array = square - mean**2
    return found


def columns(table: Array, names: list[str], wanted: list[str]) -> Array:
    """The wanted columns of a table, in that order."""
    places = {name: number for number, name in enumerate(names)}
    return table[:, [places[name] for name in wanted]]
