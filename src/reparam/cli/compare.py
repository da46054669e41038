"""``reparam compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, Reports

if TYPE_CHECKING:
    from reparam.runs import Run


def compare(
    runs: Annotated[tuple[Path, ...], Parameter(name="RUN")],
    /,
    *,
    common: Reports = REPORTING,
) -> None:
    """Puts the numbers of runs side by side; the best of those on the same data are marked.

    Args:
        runs: Run folders.
    """
    from reparam.report import compare_rows, compare_table
    from reparam.runs import open_run

    rows = [_row(path, open_run(path, common.device)) for path in runs]
    if common.json:
        print_json({"runs": compare_rows(rows)})
    else:
        print_line(compare_table(rows))


def _row(path: Path, run: Run) -> dict[str, Any]:
    chosen = run.config.data
    prepared = {"binarize": chosen.binarize, "size": chosen.size, "limit": chosen.limit}
    told = [str(value) for value in prepared.values() if value not in (None, "none")]
    return {
        **run.evaluation,
        "run": str(path),
        "recipe": run.config.recipe,
        "data": " ".join([chosen.source or f"given from Python ({path})", *told]),
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "epochs": max((row["epoch"] for row in run.metrics), default=None),
    }
