"""``reparam resume``."""

from __future__ import annotations

from reparam.cli.failures import resumable
from reparam.cli.options import REPORTING, Reports, RunPath


def resume(
    run: RunPath,
    /,
    *,
    epochs: int | None = None,
    max_minutes: float | None = None,
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

    with resumable(run):
        with TrainingProgress(run) as progress:
            done = runs.resume(run, epochs=epochs, max_minutes=max_minutes, device=common.device, progress=progress)
        conclude(done, run, common, report)
