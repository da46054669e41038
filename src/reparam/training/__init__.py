"""Training: one loop over players, whatever they minimise."""

from reparam.training.checkpoint import about, has_checkpoints, newest_checkpoint
from reparam.training.ema import EMA
from reparam.training.ending import ending, unbeaten
from reparam.training.log import MetricsLog, read_metrics
from reparam.training.loop import Trainer
from reparam.training.settings import TrainSettings
from reparam.training.state import Outcome

__all__ = [
    "EMA",
    "MetricsLog",
    "Outcome",
    "TrainSettings",
    "Trainer",
    "about",
    "ending",
    "has_checkpoints",
    "newest_checkpoint",
    "read_metrics",
    "unbeaten",
]
