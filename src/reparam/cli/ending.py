"""What train and resume do when the training is over: judge on the test split, write the report, say where all is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reparam.cli.console import print_json, print_line, print_table, say
from reparam.cli.options import Reporting
from reparam.cli.progress import CountingProgress, log
from reparam.launch import speaks
from reparam.report import write_report
from reparam.report.numbers import RELIABLE, balance, headline_numbers, notes, refusals
from reparam.runs import Run

SAMPLES, LIMIT = 100, 1000


def conclude(run: Run, folder: Path, common: Reporting, report: bool = True, since: int | None = None) -> None:
    """Judges a trained run quickly, writes its report, and prints the numbers; of several processes, the first does.

    Args:
        run: Trained just now.
        folder: Its folder.
        common: The options of every verb.
        report: Write the report.
        since: The step that the training went on from; None where it began.
    """
    if not speaks():
        return
    each = f", {SAMPLES} samples each for log p(x)" if "nll" in run.judged_by else ""
    worse = run.ending or ("" if since is None else run.unbeaten(since))
    for said in filter(None, (balance(run.metrics, run.config.model_dump()), worse)):
        say(said)
        log(folder, said)
    say(f"judging on the test split (at most {LIMIT:,} items{each})")
    with CountingProgress() as progress:
        evaluation = run.evaluate(samples=SAMPLES, limit=LIMIT, seed=common.draws, progress=progress)
    path = write_report(run, folder, seed=common.draws) if report else None
    print_numbers(evaluation, stderr=common.json)
    print_line(f"run     {folder}", stderr=common.json)
    if path:
        print_line(f"report  {path}", stderr=common.json)
    if common.json:
        print_json({"run": folder, "report": path, "evaluation": evaluation})


def print_numbers(evaluation: dict[str, Any], *, stderr: bool = False) -> None:
    """The numbers that people ask for, with their units; the rest is in the JSON."""
    rows = [(row.name, row.value, row.unit) for row in headline_numbers(evaluation) if row.unit]
    heading = f"{evaluation['split']} split, {evaluation['n']:,} items"
    print_table((heading, "value", "unit"), rows, numbers=(1,), stderr=stderr)
    if (draws := evaluation.get("nll_samples", 1)) > 1 and (worth := evaluation.get("nll_ess")):
        better = "raise --samples" + (", or ask for the metric filtered" if "nll_per_step" in evaluation else "")
        loose = "" if worth >= RELIABLE else f": a loose lower bound, whose error is larger than stated; {better}"
        print_line(f"log p(x): {draws:,} draws for each item, worth {worth:.1f} independent ones{loose}", stderr=stderr)
    if network := evaluation.get("feature_network"):
        print_line(f"compared in features: {network}", stderr=stderr)
    for note in notes(evaluation):
        print_line(note, stderr=stderr)
    for name, reason in refusals(evaluation).items():
        print_line(f"no {'log p(x)' if name == 'nll' else name.replace('_', '-')}: {reason}", stderr=stderr)
