"""Posteriors: features h of one example -> q(z|x)."""

from reparam.posteriors.base import Posterior
from reparam.posteriors.full_normal import FullNormalPosterior
from reparam.posteriors.laplace import LaplacePosterior
from reparam.posteriors.normal import NormalPosterior
from reparam.posteriors.point import PointPosterior

__all__ = ["FullNormalPosterior", "LaplacePosterior", "NormalPosterior", "PointPosterior", "Posterior"]
