"""Likelihoods: the decoder's output h -> p(x|z)."""

from reparam.likelihoods.base import Likelihood
from reparam.likelihoods.bernoulli import BernoulliLikelihood, ContinuousBernoulliLikelihood
from reparam.likelihoods.counts import (
    NegativeBinomialLikelihood,
    PoissonLikelihood,
    ZeroInflatedNegativeBinomialLikelihood,
)
from reparam.likelihoods.fitting import require_fitting
from reparam.likelihoods.levels import CategoricalLikelihood, DiscretizedLogisticLikelihood
from reparam.likelihoods.location_scale import LaplaceLikelihood, NormalLikelihood
from reparam.likelihoods.mixture import MixtureLikelihood
from reparam.likelihoods.observations import ObservationsLikelihood, OneHotLikelihood
from reparam.likelihoods.perceptual import PerceptualLikelihood
from reparam.likelihoods.reconstruction import ReconstructionTerm
from reparam.likelihoods.standardized import StandardizedLikelihood

__all__ = [
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "ContinuousBernoulliLikelihood",
    "DiscretizedLogisticLikelihood",
    "LaplaceLikelihood",
    "Likelihood",
    "MixtureLikelihood",
    "NegativeBinomialLikelihood",
    "NormalLikelihood",
    "ObservationsLikelihood",
    "OneHotLikelihood",
    "PerceptualLikelihood",
    "PoissonLikelihood",
    "ReconstructionTerm",
    "StandardizedLikelihood",
    "ZeroInflatedNegativeBinomialLikelihood",
    "require_fitting",
]
