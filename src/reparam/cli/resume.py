"""``reparam resume``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from reparam.cli.console import print_json, say
from reparam.cli.failures import resumable
from reparam.cli.options import REPORTING, MaybeWhole, OwnData, Reports, RunPath
from reparam.cli.settings import CARRIER, ORIGIN, nested, origins


def resume(
    run: RunPath,
    /,
    *,
    epochs: MaybeWhole = None,
    max_minutes: float | None = None,
    data: OwnData = None,
    report: bool = True,
    settings: Annotated[tuple[str, ...], Parameter(name=CARRIER, negative="", show_default=False)] = (),
    common: Reports = REPORTING,
) -> None:
    """Goes on with a run where it stopped: killed, out of time, or to have more epochs.

    Args:
        run: The run folder.
        epochs: A new total of passes over the training data.
        max_minutes: More minutes from now on.
        report: Write report.html.
        settings: A setting to go on with: --train.learning_rate 1e-3, --train.clip 20, --train.skip_nonfinite 10, or
            train.weight_decay, .patience, .checkpoint_seconds, .precision, .compile, .shard and .tensorboard. The
            others stay, because the checkpoint was made with them.
    """
    from reparam import runs
    from reparam.cli.ending import conclude
    from reparam.cli.progress import TrainingProgress
    from reparam.training import read_metrics

    flags = nested(settings, "resume")
    rows = read_metrics(run)
    before = rows[-1]["step"] if rows else 0
    with resumable(run):
        with origins(flags, None), TrainingProgress(run) as progress:
            done = runs.resume(
                run,
                flags,
                epochs=epochs,
                max_minutes=max_minutes,
                data=data,
                device=common.device,
                progress=progress,
                origin=ORIGIN,
            )
        over = done.metrics and done.metrics[-1]["step"] == before
        if over and done.evaluation and ((run / "report.html").exists() or not report):
            epoch = done.metrics[-1]["epoch"]
            say(f"{run} was finished already, after epoch {epoch:g}. Give --epochs or --max-minutes.")
            if common.json:
                print_json({"run": run, "report": None, "evaluation": done.evaluation})
        else:
            conclude(done, run, common, report, since=before)
