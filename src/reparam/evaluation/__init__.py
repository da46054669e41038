"""Judging a model: likelihoods, and measures of its reconstructions and its latent space."""

from reparam.evaluation.likelihood import Likelihoods, evaluating, importance_weighted, log_likelihood
from reparam.evaluation.measures import ACTIVE, METRICS, evaluate

__all__ = ["ACTIVE", "METRICS", "Likelihoods", "evaluate", "evaluating", "importance_weighted", "log_likelihood"]
