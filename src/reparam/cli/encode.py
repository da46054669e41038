"""``reparam encode``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, Reports, RunPath, Source, SplitName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reparam.data import Split


def encode(
    run: RunPath,
    source: Source,
    /,
    *,
    out: Annotated[Path, Parameter(name="--out")],
    split: SplitName = "all",
    common: Reports = REPORTING,
) -> None:
    """Writes the codes of items: the mean and the standard deviation of q(z|x), with the labels.

    Args:
        run: A run folder, or a model folder.
        source: A data name, or a path.
        out: F.npz with arrays index, mean, stddev, label, lengths (of sequences); or F.parquet or F.csv with a column
            for each dimension.
    """
    from reparam.cli.files import require_ending, write_columns
    from reparam.cli.items import posteriors, read_split
    from reparam.runs import open_run

    require_ending(out, (".npz", ".parquet", ".csv"))
    opened = open_run(run, common.device)
    items = read_split(opened, source, common.draws, split)
    codes = posteriors(opened.model, items)
    write_columns(out, _beside(items) | (dict(codes) if out.suffix.lower() == ".npz" else _by_dimension(codes)))
    n, dimensions = codes["mean"].shape
    if common.json:
        about = {"run": run, "source": source, "split": split, "n": n}
        print_json(about | {"latent_dim": dimensions, "arrays": list(codes), "out": out})
    else:
        print_line(f"{n:,} codes of {dimensions} dimensions ({' and '.join(codes)}): {out}")


def _beside(items: Split) -> dict[str, Any]:
    from reparam.cli.items import class_names
    from reparam.cli.sequences import lengths_of

    labels, lengths = class_names(items), lengths_of(items)
    beside = {"label": labels} if labels else {}
    return {"index": list(range(len(items)))} | beside | ({} if lengths is None else {"lengths": lengths.tolist()})


def _by_dimension(codes: dict[str, NDArray[Any]]) -> dict[str, Any]:
    short = {"mean": "z", "stddev": "stddev"}
    return {
        f"{short[name]}{dimension}": values[:, dimension].tolist()
        for name, values in codes.items()
        for dimension in range(values.shape[1])
    }
