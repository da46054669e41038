"""``reparam reconstruct``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, OutPath, Reports, RunPath, Source, SplitName, Whole, require_positive
from reparam.errors import ConfigError

OVERLAP = 0.25


def reconstruct(
    run: RunPath,
    source: Source,
    /,
    *,
    split: SplitName = "all",
    n: Annotated[Whole, Parameter(name="-n")] = 32,
    tiles: bool = False,
    overlap: float | None = None,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Passes items through the code and back: originals over reconstructions, and the mean squared error.

    Args:
        run: A run folder, or a model folder.
        source: A data name, or a path.
        n: How many items a picture or music has, chosen at random; files of numbers hold all of them.
        tiles: Keep pictures, all of one size, in that size, and put large
            ones together from tiles of the model's.
        overlap: Least share of a tile's side that its neighbour covers too, 0.25 where nothing is given.
        out: F.png, F.npz (x, x_hat, mse, and the lengths of sequences), F.csv or
            music F.mid with each original before its reconstruction; without it, reconstructions.png or .npz in the run
            folder.
    """
    from reparam.cli.files import item_file
    from reparam.cli.items import read_large, read_split, reconstructions
    from reparam.cli.pictures import write_pairs
    from reparam.cli.sequences import lengths_of
    from reparam.runs import open_run

    require_positive("-n", n)
    if tiles and split != "all":
        raise ConfigError(f"--tiles takes all pictures of a source, and --split is {split!r}. Leave one of them out.")
    if overlap is not None and not tiles:
        raise ConfigError(f"--overlap {overlap}: only tiles overlap. Add --tiles, or leave it out.")
    overlap = OVERLAP if overlap is None else overlap
    if not 0 <= overlap <= 0.5:
        raise ConfigError(f"--overlap {overlap}: expected a share from 0 to 0.5.")
    opened = open_run(run, common.device)
    path = item_file(out, run, "reconstructions", opened.spec, heard=True)
    items = read_large(opened, source, common.draws) if tiles else read_split(opened, source, common.draws, split)
    if path.suffix.lower() == ".png" and not opened.model.amortized:  # each code is searched for
        items = items.subset(n, common.draws, "pairs")
    x, x_hat, mse = reconstructions(opened.model, items, overlap)
    write_pairs(path, x, x_hat, items.spec, n, common.draws, lengths_of(items))
    mean = mse.mean().item()
    if common.json:
        print_json({"run": run, "source": source, "split": split, "n": len(x), "mse": mean, "out": path})
    else:
        print_line(f"{len(x):,} items, mean squared error {mean:.5g} (squared units of x): {path}")
