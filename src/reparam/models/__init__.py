"""Graphical models: the only classes that hold all parts; those with a density fill a Trace."""

from reparam.models.flat import VAE

__all__ = ["VAE"]
