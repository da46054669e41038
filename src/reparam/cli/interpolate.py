"""``reparam interpolate``."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, OutPath, OwnData, Reports, RunPath, Whole

Item = Annotated[str, Parameter(help="A number in the test split, class:NAME (a random one of that class), or a path.")]


def interpolate(
    run: RunPath,
    a: Annotated[Item, Parameter(name="A")],
    b: Annotated[Item, Parameter(name="B")],
    /,
    *,
    steps: Whole = 10,
    path: Literal["linear", "spherical"] = "linear",
    label: str | None = None,
    data: OwnData = None,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Turns one item into another by walking between their codes.

    Args:
        run: A run folder, or a model folder.
        a: Where to start.
        b: Where to end.
        steps: Number of pictures, the two ends included.
        path: Straight, or along the arc around the origin.
        label: The class that is held on the way, for a model that is told classes; that of A where nothing is given.
        out: F.png, F.npz or F.csv; interpolation.png or .npz in the run folder where nothing is given.
    """
    from reparam.cli.files import item_file
    from reparam.cli.items import read_item, told
    from reparam.cli.pictures import write_path
    from reparam.latents import interpolate as walk
    from reparam.runs import open_run

    opened = open_run(run, common.device, data)
    where = item_file(out, run, "interpolation", opened.spec)
    start, end = (read_item(opened, text, common.draws) for text in (a, b))
    x = walk(told(opened, label, start), start.x[0], end.x[0], steps, path)
    write_path(where, start, x, end, opened.spec)
    if common.json:
        print_json({"run": run, "a": a, "b": b, "steps": steps, "path": path, "out": where})
    else:
        print_line(f"{steps} steps from {a} to {b}: {where}")
