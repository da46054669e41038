"""Writes answers to files, each of which is complete or absent: bytes, arrays and tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reparam.data import DataSpec
from reparam.data.sequences import KEYS
from reparam.errors import ConfigError, MissingExtraError
from reparam.files import replacing
from reparam.shapes import is_image

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]


def require_ending(out: Path, endings: Sequence[str]) -> None:
    """Checks how a file name ends before the work begins.

    Raises:
        ConfigError: if it cannot be written like that.
    """
    if out.suffix.lower() not in endings:
        named = [ending or "nothing (a folder)" for ending in endings]
        raise ConfigError(f"--out {out}: expected a file name that ends in {' or '.join(named)}.")


def item_file(
    out: Path | None,
    run: Path,
    stem: str,
    spec: DataSpec,
    *,
    endings: Sequence[str] = (".png", ".npz", ".csv"),
    folder: bool = False,
    heard: bool = False,
) -> Path:
    """Where items go: as the user says, or into the run folder as a picture where they are pictures.

    Args:
        out: What the user says.
        run: The run folder.
        stem: Name of the file there.
        spec: What the items are.
        endings: Of file names.
        folder: They may also go into a folder of pictures.
        heard: Sequences of up to 88 values that are on or off may also go into a MIDI file.
    Raises:
        ConfigError: if items like these cannot be written so.
    """
    if out is None:
        return run / f"{stem}{'.png' if is_image(spec.shape) else '.npz'}"
    music = heard and len(spec.shape) == 2 and spec.effective_kind == "binary" and spec.shape[0] <= KEYS
    require_ending(out, [*endings, *([".mid"] if music else []), *([""] if folder else [])])
    if folder and not is_image(spec.shape) and out.suffix.lower() in (".png", ""):
        raise ConfigError(f"--out {out}: items of shape {spec.shape} are no pictures. Write .npz or .csv.")
    return out


def item_columns(x: Tensor, spec: DataSpec) -> dict[str, list[float]]:
    """One column for each value of an item, by the data's own names where they have some."""
    flat = x.flatten(1).cpu()
    if spec.observations:
        named = [name for one in spec.observations for name in one.names]
    else:
        named = list(spec.columns) if len(spec.columns) == flat.shape[1] else [f"x{i}" for i in range(flat.shape[1])]
    return {name: flat[:, number].tolist() for number, name in enumerate(named)}


def item_arrays(x: Tensor, spec: DataSpec, suffix: str = "") -> dict[str, NDArray[Any]]:
    """Items as arrays by name: ``x``, or each observation in its own shape."""
    if not spec.observations:
        return {f"x{suffix}": x.cpu().numpy()}
    found = {}
    for one, place in zip(spec.observations, spec.places.values(), strict=True):
        values = x[..., place].unflatten(-1, one.shape).cpu().numpy()
        found[one.name + suffix] = names_of(values, one.classes) if one.kind == "classes" else values
    return found


def length_arrays(lengths: Tensor | None) -> dict[str, NDArray[Any]]:
    """``lengths`` as data name them, (N,); nothing where sequences are all as long."""
    return {} if lengths is None else {"lengths": lengths.numpy()}


def names_of(probabilities: NDArray[Any], classes: Sequence[str]) -> NDArray[Any]:
    """The most probable class by name, empty where nothing is there: what is written can be read again."""
    missing = np.isnan(probabilities).all(-1)
    chosen = np.asarray(classes)[np.nan_to_num(probabilities).argmax(-1)]
    return np.where(missing, "", chosen)


def write_bytes(out: Path, content: bytes) -> None:
    """A file with this content."""
    with replacing(out) as aside:
        aside.write_bytes(content)


def write_arrays(out: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Arrays by name, compressed; texts are stored as such, so that no pickle is needed to read them."""
    with replacing(out) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def write_columns(out: Path, columns: Columns) -> None:
    """Columns as arrays (.npz) or as a table (.csv, .parquet)."""
    if out.suffix.lower() == ".npz":
        write_arrays(out, {name: np.asarray(values) for name, values in columns.items()})
    else:
        write_table(out, columns)


def write_table(out: Path, columns: Columns) -> None:
    """A table as .csv or .parquet.

    Raises:
        MissingExtraError: if .parquet needs pyarrow and it is not there.
    """
    with replacing(out) as aside:
        if out.suffix.lower() == ".parquet":
            try:
                import pyarrow as pa
                from pyarrow import parquet
            except ImportError:
                raise MissingExtraError("Writing .parquet", "pyarrow", "tabular") from None
            parquet.write_table(pa.table(dict(columns)), aside)
            return
        with aside.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            rows.writerows(zip(*columns.values(), strict=True))
