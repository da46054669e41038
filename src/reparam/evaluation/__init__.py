"""Judging a model: likelihoods, reconstructions, samples, and what its latent space is like."""

from reparam.evaluation.classifying import classify, split_classes
from reparam.evaluation.features import Features, feature_network
from reparam.evaluation.likelihood import (
    Likelihoods,
    evaluating,
    importance_weighted,
    log_likelihood,
    split_likelihoods,
)
from reparam.evaluation.measures import ACTIVE
from reparam.evaluation.metrics import METRICS, Metric, evaluate

__all__ = [
    "ACTIVE",
    "METRICS",
    "Features",
    "Likelihoods",
    "Metric",
    "classify",
    "evaluate",
    "evaluating",
    "feature_network",
    "importance_weighted",
    "log_likelihood",
    "split_classes",
    "split_likelihoods",
]
