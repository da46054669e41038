"""Named methods as data: each recipe is a short function from the data's spec to a configuration, with its paper."""

from reparam.recipes.resolving import build, default_epochs, resolve
from reparam.recipes.table import RECIPES, require_recipe

__all__ = ["RECIPES", "build", "default_epochs", "require_recipe", "resolve"]
