"""Named methods as data: each recipe is a short function from the data's spec to a configuration, with its paper."""

from reparam.recipes.resolving import Built, build, decayed, default_epochs, parts_of, resolve
from reparam.recipes.table import BY_HAND, RECIPES, require_recipe

__all__ = [
    "BY_HAND",
    "RECIPES",
    "Built",
    "build",
    "decayed",
    "default_epochs",
    "parts_of",
    "require_recipe",
    "resolve",
]
