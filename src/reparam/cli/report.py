"""``reparam report``."""

from __future__ import annotations

from reparam.cli.console import print_json, print_line
from reparam.cli.options import REPORTING, Reports, RunPath


def report(run: RunPath, /, *, common: Reports = REPORTING) -> None:
    """Writes report.html and figures/ of a run again, from its model, its metrics and its evaluation.json.

    Args:
        run: A run folder.
    """
    from reparam.cli.ending import report_of
    from reparam.runs import open_run

    opened = open_run(run, common.device)
    path = report_of(opened, opened.folder or run, common.draws)
    if common.json:
        print_json({"run": run, "report": path, "evaluation": opened.evaluation})
    else:
        print_line(f"report  {path}")
