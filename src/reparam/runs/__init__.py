"""Runs: training into a folder, going on with it, opening it again, judging it."""

from reparam.runs.film import frames
from reparam.runs.record import Run, open_run
from reparam.runs.settings import choose_device, prepare
from reparam.runs.training import fit, resume, train

__all__ = ["Run", "choose_device", "fit", "frames", "open_run", "prepare", "resume", "train"]
