"""Graphical models: the only classes that hold all parts; those with a density fill a Trace."""

from reparam.models.base import Autoencoder
from reparam.models.flat import VAE
from reparam.models.hierarchical import HierarchicalVAE

__all__ = ["VAE", "Autoencoder", "HierarchicalVAE"]
