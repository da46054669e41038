"""All recipes by name."""

from reparam.errors import UnknownNameError, nearest
from reparam.recipes.basic import BASIC
from reparam.recipes.building import Recipe
from reparam.recipes.conditions import CONDITIONS
from reparam.recipes.games import GAMES
from reparam.recipes.groups import GROUPS
from reparam.recipes.hierarchies import HIERARCHIES
from reparam.recipes.latents import LATENTS
from reparam.recipes.objectives import OBJECTIVES
from reparam.recipes.observations import OBSERVATIONS
from reparam.recipes.perceptual import PERCEPTUAL
from reparam.recipes.quantised import QUANTISED
from reparam.recipes.sequences import SEQUENCES
from reparam.recipes.tokenizers import TOKENIZERS

RECIPES: dict[str, Recipe] = (
    BASIC
    | OBJECTIVES
    | LATENTS
    | QUANTISED
    | HIERARCHIES
    | CONDITIONS
    | GROUPS
    | GAMES
    | PERCEPTUAL
    | TOKENIZERS
    | SEQUENCES
    | OBSERVATIONS
)

BY_HAND = "custom"  # what config.yaml calls a model that no recipe made


def require_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        UnknownNameError: if there is none; the nearest one is named.
    """
    if name == BY_HAND:
        raise UnknownNameError(
            f"{BY_HAND!r} is a model that was put together in Python: no recipe makes it again. Fit it from Python, or "
            "go on with its run by 'reparam resume'."
        )
    if name not in RECIPES:
        raise UnknownNameError(f"There is no recipe {name!r}. {nearest(name, RECIPES)}")
    return RECIPES[name]
