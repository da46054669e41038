"""Graphical models: the only classes that hold all parts; those with a density fill a Trace."""

from reparam.models.base import Autoencoder
from reparam.models.flat import VAE
from reparam.models.grouped import GroupedVAE
from reparam.models.hierarchical import HierarchicalVAE
from reparam.models.hybrid import HybridVAE
from reparam.models.implicit import ImplicitModel
from reparam.models.semi_supervised import SemiSupervisedVAE
from reparam.models.sequential import SequentialVAE

__all__ = [
    "VAE",
    "Autoencoder",
    "GroupedVAE",
    "HierarchicalVAE",
    "HybridVAE",
    "ImplicitModel",
    "SemiSupervisedVAE",
    "SequentialVAE",
]
