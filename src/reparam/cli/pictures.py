"""Writes items to files: as grids or folders of pictures, as arrays, or as rows of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reparam.cli.files import item_arrays, item_columns, length_arrays, write_arrays, write_bytes, write_table
from reparam.cli.sequences import Continued, lengths_of
from reparam.data import Batch, DataSpec
from reparam.errors import ConfigError
from reparam.evaluation.measures import squared_error
from reparam.report.images import Labels, image_grid, to_pixels
from reparam.report.midi import midi
from reparam.report.observed import view_for
from reparam.report.views import ImageView, ended
from reparam.rng import generator
from reparam.shapes import is_image

_WIDEST = 16


def write_items(
    out: Path, x: Tensor, spec: DataSpec, labels: Sequence[str] = (), lengths: Tensor | None = None
) -> None:
    """Items as a grid (.png), music (.mid), an array ``x`` (.npz), rows of a table (.csv), or pictures in a folder.

    The name of each item's class, where it has one, stands beside it as ``label``; in a folder each class has its own.
    How many steps sequences have, where they differ, stands beside the array as ``lengths``, and in a table as
    ``length``.
    """
    match out.suffix.lower():
        case ".png":
            write_bytes(out, grid([("", x)], spec, max(1, round(len(x) ** 0.5))))
        case ".npz":
            beside = {"label": np.array(labels)} if labels else {}
            write_arrays(out, item_arrays(x, spec) | beside | length_arrays(lengths))
        case ".mid":
            write_bytes(out, midi(x, lengths))
        case ".csv":
            long = {} if lengths is None else {"length": lengths.tolist()}
            write_table(out, item_columns(x, spec) | long | ({"label": labels} if labels else {}))
        case _:
            write_folder(out, x, spec, labels)


def write_folder(out: Path, x: Tensor, spec: DataSpec, labels: Sequence[str] = ()) -> None:
    """One picture for each item, ``00000.png`` and so on, in its own size; in the folder of its class if it has one.

    Raises:
        ConfigError: if there are pictures already, with which these would be mixed.
    """
    if any(out.rglob("*.png")):
        raise ConfigError(f"--out {out}: pictures are there already. Name a new folder, or move them away.")
    for number, picture in enumerate(to_pixels(x, *_range(x, spec))):
        folder = out / re.sub(r"^\.|[/\\\0]", "_", labels[number]) if labels else out
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(picture)
        (image if spec.shape[0] == 3 else image.convert("L")).save(folder / f"{number:05d}.png")


def _range(x: Tensor, spec: DataSpec) -> tuple[float, float]:
    """The values shown as black and as white."""
    view = view_for(spec, x)
    return (view.low, view.high) if isinstance(view, ImageView) else (0.0, 1.0)


def grid(rows: Sequence[tuple[str, Tensor]], spec: DataSpec, columns: int) -> bytes:
    """Versions of the same items below each other, block after block, as PNG; white fills the last block."""
    low, high = _range(rows[0][1], spec)
    columns = min(_WIDEST, columns)
    missing = -len(rows[0][1]) % columns
    padded = [torch.cat([x, x.new_full((missing, *x.shape[1:]), high)]) for _, x in rows]
    blocks = torch.stack([x.reshape(-1, columns, *x.shape[1:]) for x in padded], dim=1)
    names = [name for _ in range(len(blocks)) for name, _ in rows if name]
    return image_grid(blocks.flatten(0, 1), Labels(rows=names), low=low, high=high).light


def write_pairs(
    out: Path, x: Tensor, x_hat: Tensor, spec: DataSpec, most: int, seed: int, lengths: Tensor | None = None
) -> None:
    """Originals and reconstructions: some of them (.png, and .mid one after the other), or all (.npz, .csv)."""
    if out.suffix.lower() == ".npz":
        beside = {"mse": squared_error(x, x_hat, lengths).numpy()} | length_arrays(lengths)
        write_arrays(out, item_arrays(x, spec) | item_arrays(x_hat, spec, "_hat") | beside)
    elif out.suffix.lower() == ".csv":
        write_table(out, item_columns(x_hat, spec))
    else:
        chosen = torch.randperm(len(x), generator=generator(seed, "pairs"))[:most].sort().values
        if out.suffix.lower() == ".mid":
            both = torch.stack([x[chosen], x_hat[chosen]], 1).flatten(0, 1)
            write_items(out, both, spec, lengths=None if lengths is None else lengths[chosen].repeat_interleave(2))
            return
        rows = [("original", x[chosen]), ("reconstruction", x_hat[chosen])]
        own = None if lengths is None else lengths[chosen]
        write_bytes(out, grid(rows, spec, len(chosen)) if is_image(spec.shape) else _copies(rows, spec, own))


def _copies(rows: Sequence[tuple[str, Tensor]], spec: DataSpec, lengths: Tensor | None) -> bytes:
    """Versions of the same items, as the report shows them, as PNG; the first are the originals."""
    view = view_for(spec, rows[0][1])
    return view.copies([(name, ended(view, x, lengths)) for name, x in rows])[0].picture.light


def write_continuations(out: Path, found: Continued, spec: DataSpec) -> None:
    """Originals over their continuations (.png), the continuations (.mid), or all with mean and deviation (.npz)."""
    draws, lengths = found.draws, found.lengths
    match out.suffix.lower():
        case ".npz":
            parts = {"x": draws.mean(1), "x_std": draws.std(1, correction=0), "x_draws": draws}
            write_arrays(out, {name: values.numpy() for name, values in parts.items()} | length_arrays(lengths))
        case ".mid":
            each = None if lengths is None else lengths.repeat_interleave(draws.shape[1])
            write_items(out, draws.flatten(0, 1), spec, lengths=each)
        case _:
            rows = [("original", found.x)]
            rows += [(f"continued {number + 1}", way) for number, way in enumerate(draws.unbind(1))]
            write_bytes(out, _copies(rows, spec, lengths))


def write_path(out: Path, start: Batch, x: Tensor, end: Batch, spec: DataSpec) -> None:
    """Steps from one item to another, as long as the first, between the two themselves in a picture."""
    if out.suffix.lower() == ".png":
        view = view_for(spec, torch.cat([start.x, end.x]))
        length = lengths_of(start)
        first, last = ended(view, start.x, length), ended(view, end.x, lengths_of(end))
        drawings = view.paths(first, ended(view, x, length)[None], last)
        write_bytes(out, drawings[0].picture.light)
    else:
        write_items(out, x, spec)


def write_walks(
    out: Path, x: Tensor, names: Sequence[str], span: float, spec: DataSpec, lengths: Tensor | None = None
) -> None:
    """One row for each dimension: a picture with its marks, or an array ``x`` (D, steps, *data_shape).

    Of sequences of several lengths, ``lengths`` holds the one that all of these have, (1,).
    """
    if out.suffix.lower() != ".png":
        write_items(out, x, spec)
        return
    marks = [f"{value:+.2g}" if abs(value) > 1e-9 else "0" for value in np.linspace(-span, span, x.shape[1])]
    view = view_for(spec, x.flatten(0, 1))
    write_bytes(out, view.walks(names, ended(view, x, lengths), marks)[0].picture.light)
