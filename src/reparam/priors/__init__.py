"""Priors: -> p(z)."""

from reparam.priors.base import Prior
from reparam.priors.categorical import CategoricalPrior
from reparam.priors.codes import PixelCNNPrior, TransformerPrior, UniformCodesPrior
from reparam.priors.conditional import ConditionalPrior
from reparam.priors.exemplar import ExemplarPrior
from reparam.priors.flow import FlowPrior
from reparam.priors.laplace import LaplacePrior
from reparam.priors.mixture import MixturePrior
from reparam.priors.normal import NormalPrior
from reparam.priors.structured import StructuredPrior
from reparam.priors.uniform_sphere import UniformSpherePrior
from reparam.priors.vamp import VampPrior
from reparam.priors.wrapped_normal import WrappedNormalPrior

__all__ = [
    "CategoricalPrior",
    "ConditionalPrior",
    "ExemplarPrior",
    "FlowPrior",
    "LaplacePrior",
    "MixturePrior",
    "NormalPrior",
    "PixelCNNPrior",
    "Prior",
    "StructuredPrior",
    "TransformerPrior",
    "UniformCodesPrior",
    "UniformSpherePrior",
    "VampPrior",
    "WrappedNormalPrior",
]
