"""Arguments of public functions and of parts, checked by their names before anything is done with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from reparam.errors import ConfigError, PartError
from reparam.reading import shown

Called = TypeVar("Called", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """What the arguments of a name are.

    Attributes:
        fits: True of such a value.
        expected: What it is, in words.
        holder: The attribute by which other things hold one.
        error: What is raised.
    """

    fits: Callable[[Any], bool]
    expected: str
    holder: str = ""
    error: type[ConfigError | PartError] = ConfigError


def _having(*names: str) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, type) and all(hasattr(value, name) for name in names)


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool)


def _are_whole(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str) and all(map(_is_whole, value))


def _is_model(value: Any) -> bool:
    known = hasattr(value, "trace") or hasattr(value, "infer")
    return known and not isinstance(value, type) and not hasattr(value, "ndim")


def _part(expected: str, *names: str) -> Kind:
    return Kind(_having("parameters", *names), expected, error=PartError)


_MODEL = Kind(_is_model, "a model, such as build('vae', data), load(folder) or VAE(...)", "model")
_PATH = Kind(lambda value: isinstance(value, str | os.PathLike), "a path", "folder")
_RECIPE = Kind(lambda value: isinstance(value, str), "the name of a recipe, such as 'vae'")
_COUNT = Kind(_is_whole, "a whole number", error=PartError)
_SHAPE = Kind(_are_whole, "whole numbers, such as (1, 28, 28)", error=PartError)
_PRIOR = _part("a prior, such as NormalPrior(latent_dim)", "space")
KINDS: dict[str, Kind] = {
    "model": _MODEL,
    "run": Kind(_having("folder", "model", "metrics"), "a run, from train, fit, resume or open_run"),
    "folder": _PATH,
    "path": _PATH,
    "out": _PATH,
    "recipe": _RECIPE,
    "name": _RECIPE,
    "over": Kind(lambda value: isinstance(value, Mapping), "settings by section, such as {'train': {'epochs': 3}}"),
    "progress": Kind(lambda value: callable(value) or value is False, "a function to call, or False for silence"),
    "split": Kind(
        lambda value: isinstance(value, str) or hasattr(value, "batches"),
        "one split of the data, such as data.test (of a run train, validation or test)",
    ),
    "metrics": Kind(lambda value: isinstance(value, Iterable), "names of metrics, such as ['elbo', 'nll']"),
    "samples": _COUNT,
    "steps": _COUNT,
    "latent_dim": _COUNT,
    "temperature": Kind(_is_number, "a number of 0 or more", error=PartError),
    "data_shape": _SHAPE,
    "out_shape": _SHAPE,
    "encoder": _part("a network, such as MLPEncoder(data_shape)"),
    "decoder": _part("a network, such as MLPDecoder(latent_dim, out_shape)"),
    "posterior": _part("a posterior, such as NormalPosterior(in_dim, latent_dim)", "in_dim", "space"),
    "prior": _PRIOR,
    "top": _PRIOR,
    "likelihood": _part("a likelihood, such as BernoulliLikelihood(data_shape)", "out_shape"),
    "hierarchy": _part("a hierarchy, such as MLPHierarchy(...)", "latent_dims"),
    "dynamics": _part("dynamics, such as Dynamics(feature_dim, step_dim)", "step_dim"),
    "corruption": _part("a corruption, such as MaskingNoise(...)"),
    "condition": _part("a condition, such as ClassCondition(classes)", "name"),
}


def checked(function: Called) -> Called:
    """The function, whose arguments of known names are checked first; None passes where it is the default.

    Raises:
        ConfigError: if an argument of the call is of another kind.
        PartError: the same, of what parts and models are made of.
    """
    own = signature(function)
    kinds = {name: KINDS[name] for name in own.parameters if name in KINDS}
    unset = {name for name in kinds if own.parameters[name].default is None}
    positions = {name: place for place, name in enumerate(own.parameters)}

    @wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        for name, kind in kinds.items():
            place = positions[name]
            value = args[place] if place < len(args) else named.get(name, kind)
            if value is kind or (value is None and (name in unset or name == "prior")) or kind.fits(value):
                continue  # not given, not wanted, or as it should be
            built = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
            found = getattr(value, kind.holder, None) if kind.holder and not isinstance(value, type) else None
            way = f" Take its {kind.holder}." if found is not None else ""
            raise kind.error(f"{built}: {name} is {_said(value)}, expected {kind.expected}.{way}")
        return function(*args, **named)

    return called  # type: ignore[return-value]


def _said(value: Any) -> str:
    """A plain value as it is written, of anything else what it is."""
    if value is None or isinstance(value, str | int | float):
        return shown(value)
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
