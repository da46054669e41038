"""Judging a model: likelihoods, and measures of its reconstructions and its latent space."""

from reparam.evaluation.likelihood import Likelihoods, importance_weighted, log_likelihood
from reparam.evaluation.measures import METRICS, evaluate

__all__ = ["METRICS", "Likelihoods", "evaluate", "importance_weighted", "log_likelihood"]
