"""Objectives: a Trace -> a Bound, and the players who move the parameters."""

from reparam.objectives.balanced import BalancedELBO
from reparam.objectives.base import Objective
from reparam.objectives.elbo import ELBO
from reparam.objectives.schedules import warmup_weight

__all__ = ["ELBO", "BalancedELBO", "Objective", "warmup_weight"]
