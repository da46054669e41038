"""``reparam restore``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import (
    REPORTING,
    OutPath,
    Reports,
    RunPath,
    Source,
    SplitName,
    Whole,
    require_positive,
    words_in,
)


def restore(
    run: RunPath,
    source: Source,
    /,
    *,
    hide: str | None = None,
    split: SplitName = "all",
    draws: Annotated[Whole, Parameter(name="--draws")] = 32,
    out: OutPath = None,
    common: Reports = REPORTING,
) -> None:
    """Tells what is missing of items from what is there, with a model of several observations.

    Args:
        run: A run folder, or a model folder.
        source: A data name, or a path.
        hide: Observations to hide first, such as depth,labels; what is
            missing anyway is told too.
        draws: Codes drawn for each item; their means are the completions.
        out: F.npz: for each observation its mean (NAME), how sure it is
            (NAME_std) and the completions (NAME_draws); restored.npz in the
            run folder where nothing is given.
    """
    from reparam.cli.files import require_ending, write_arrays
    from reparam.cli.items import hidden, read_split, restored
    from reparam.runs import open_run

    require_positive("--draws", draws)
    path = run / "restored.npz" if out is None else out
    require_ending(path, (".npz",))
    opened = open_run(run, common.device)
    names = words_in(hide, "--hide") if hide is not None else []
    items = hidden(read_split(opened, source, common.draws, split), names)
    arrays, missing = restored(opened.model, items, draws, common.draws)
    write_arrays(path, arrays)
    if common.json:
        print_json({"run": run, "source": source, "split": split, "n": len(items), "missing": missing, "out": path})
    else:
        found = ", ".join(f"{name} of {count:,}" for name, count in missing.items() if count) or "nothing"
        print_line(f"{len(items):,} items, told: {found}: {path}")
