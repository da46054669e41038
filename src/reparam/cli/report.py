"""``reparam report``."""

from __future__ import annotations

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, OwnData, Reports, RunPath


def report(run: RunPath, /, *, data: OwnData = None, common: Reports = REPORTING) -> None:
    """Writes report.html and figures/ of a run again, from its model, its metrics and its evaluation.json.

    Args:
        run: A run folder.
    """
    from reparam.report import write_report
    from reparam.runs import open_run

    opened = open_run(run, common.device, data)
    path = write_report(opened, opened.folder or run, seed=common.draws)
    if common.json:
        print_json({"run": run, "report": path, "evaluation": opened.evaluation})
    else:
        print_line(f"report  {path}")
