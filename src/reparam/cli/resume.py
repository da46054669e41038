"""``reparam resume``."""

from __future__ import annotations

from reparam.cli.console import print_json, say
from reparam.cli.failures import resumable
from reparam.cli.options import REPORTING, MaybeWhole, OwnData, Reports, RunPath


def resume(
    run: RunPath,
    /,
    *,
    epochs: MaybeWhole = None,
    max_minutes: float | None = None,
    data: OwnData = None,
    report: bool = True,
    common: Reports = REPORTING,
) -> None:
    """Goes on with a run where it stopped: killed, out of time, or to have more epochs.

    Args:
        run: The run folder.
        epochs: A new total of passes over the training data.
        max_minutes: More minutes from now on.
        report: Write report.html.
    """
    from reparam import runs
    from reparam.cli.ending import conclude
    from reparam.cli.progress import TrainingProgress
    from reparam.training import read_metrics

    rows = read_metrics(run)
    before = rows[-1]["step"] if rows else 0
    with resumable(run):
        with TrainingProgress(run) as progress:
            done = runs.resume(
                run, epochs=epochs, max_minutes=max_minutes, data=data, device=common.device, progress=progress
            )
        over = done.metrics and done.metrics[-1]["step"] == before
        if over and done.evaluation and ((run / "report.html").exists() or not report):
            epoch = done.metrics[-1]["epoch"]
            say(f"{run} was finished already, after epoch {epoch:g}. Give --epochs or --max-minutes.")
            if common.json:
                print_json({"run": run, "report": None, "evaluation": done.evaluation})
        else:
            conclude(done, run, common, report)
