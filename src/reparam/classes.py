"""Classes by their names: what a user calls them becomes their places, as models and data number them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reparam.errors import PartError, nearest
from reparam.reading import shown

WHOLE = re.compile(r"-?[0-9]{1,18}")


def ambiguous(names: tuple[str, ...]) -> bool:
    """True where a bare number could be a class by its name or by its place: names such as 1, 2 and 3."""
    return any(WHOLE.fullmatch(name) and name != str(place) for place, name in enumerate(names))


def class_places(told: Any, names: tuple[str, ...], owner: str) -> Tensor:
    """The place of each class that is told.

    Names are looked up; a tensor holds places, or probabilities, as they are; so do numbers that are no tensor, where
    they could not be names.

    Args:
        told: A class, or several: a name, a number, a list or an array of them, or a tensor.
        names: What the classes are called, in their order; empty where that is not known.
        owner: What messages call the model.
    Raises:
        PartError: if there is no such class, or a number could be a name.
    """
    if isinstance(told, Tensor):
        return told
    try:
        values = np.asarray(told)
    except ValueError:  # rows of different lengths
        values = np.empty(0, dtype=object)
    if values.size and all(isinstance(one, str) for one in values.ravel().tolist()):
        found = [_place(name, names, owner) for name in values.ravel().tolist()]
        return torch.tensor(found).reshape(values.shape)
    if values.dtype.kind not in "biuf":
        raise PartError(f"{owner}: labels is {shown(told)}, expected names of classes, or a tensor of their places.")
    if values.dtype.kind in "iu" and ambiguous(names):
        raise PartError(
            f"{owner}: labels is {' '.join(shown(told).split())}, and classes are called {', '.join(names[:3])}, so a "
            f"number could be a name or a place. Give the name as a text, labels={names[0]!r}, or a torch tensor of "
            "places."
        )
    return torch.tensor(values if hasattr(told, "__array__") else told)


def _place(name: str, names: tuple[str, ...], owner: str) -> int:
    """The place of a class.

    Raises:
        PartError: if there is none of that name.
    """
    if not names:
        raise PartError(
            f"{owner}: labels is {name!r}, and the model does not know what its classes are called. Give a number or a "
            "tensor of them, or tell it: model.class_names = data.spec.classes."
        )
    if name not in names:
        raise PartError(f"{owner}: there is no class {name!r}. {nearest(name, names)}")
    return names.index(name)
