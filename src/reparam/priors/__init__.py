"""Priors: -> p(z)."""

from reparam.priors.base import Prior
from reparam.priors.codes import PixelCNNPrior, TransformerPrior, UniformCodesPrior
from reparam.priors.laplace import LaplacePrior
from reparam.priors.normal import NormalPrior

__all__ = ["LaplacePrior", "NormalPrior", "PixelCNNPrior", "Prior", "TransformerPrior", "UniformCodesPrior"]
