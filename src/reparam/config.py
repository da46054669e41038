"""Typed configuration: YAML <-> Config -> parts."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator
from torch import nn

from reparam.data import DataSpec
from reparam.errors import ConfigError, PartError, nearest
from reparam.likelihoods import Likelihood, StandardizedLikelihood
from reparam.model_config import (
    MODELS,
    NO_SUCH_MODEL,
    FlatConfig,
    HierarchicalConfig,
    ModelConfig,
    Part,
    Strict,
    checked_part,
    sentence,
)
from reparam.models import VAE, Autoencoder, HierarchicalVAE
from reparam.networks import Corruption, StandardizedCorruption, StandardizedEncoder, StandardizedHierarchy
from reparam.objectives import Objective
from reparam.parts import PARTS, SECTIONS, constructor
from reparam.reading import parse_yaml, read_text, shown
from reparam.rng import seeded
from reparam.training import TrainSettings
from reparam.weighing import affordable

MOST_YAML = 50_000
MOST_FAULTS = 20
MOST_AXES = 8
OF_CODES = ("grid", "codes")  # what a prior over codes takes from the posterior


class DataConfig(Strict):
    """Which data, and how they are prepared.

    Attributes:
        source: A name, a path, or empty for data given from Python.
        size: Side, or height and width, that images are resized to.
        binarize: ``dynamic`` draws Bernoulli(x) afresh each epoch, ``threshold`` cuts at 0.5.
        validation: Share (below 1) or number of training examples cut off for validation, where the source has none.
        limit: Seeded random subset of each split.
        seed: Seed of random splits and subsets; apart from the run's seed, so that runs share a test split.
        stream: ``on`` leaves the data on disk, ``off`` loads them, ``auto`` streams what is large beside the memory.
    """

    source: str = "digits"
    size: int | tuple[int, int] | None = None
    binarize: Literal["none", "dynamic", "threshold"] = "none"
    validation: Annotated[float, Field(gt=0)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    stream: Literal["auto", "on", "off"] = "auto"

    @field_validator("stream", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """YAML reads on and off as true and false."""
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


class Config(Strict):
    """Everything needed to run a training again."""

    recipe: str
    data: DataConfig
    model: ModelConfig | None
    objective: Part | None
    train: TrainSettings = TrainSettings()
    seed: int = 0

    @field_validator("objective", mode="before")
    @classmethod
    def _part(cls, value: Any) -> Any:
        return None if value is None else checked_part("objective", value)

    def to_yaml(self) -> str:
        """The YAML of ``config.yaml``."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def parse_config(values: Mapping[str, Any], origin: str = "settings") -> Config:
    """Checks all values at once.

    Raises:
        ConfigError: one line for each fault: ``origin: key: what was expected (got ...)``.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_readable(error, origin)) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: if the file is missing or is no mapping.
    """
    try:
        values = parse_yaml(read_text(path, MOST_YAML))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected sections such as 'train:' at the top level (got {type(values).__name__}).")
    return values


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    tables: dict[tuple[Any, ...], Any] = {(): Config, ("data",): DataConfig}
    tables |= {("model", kind): fields for kind, fields in MODELS.items()}
    owner = tables.get(location)
    if owner is not None:
        return list(owner.model_fields)
    return list(TrainSettings.__dataclass_fields__) if location == ("train",) else []


def _readable(error: ValidationError, origin: str) -> str:
    lines = []
    for fault in error.errors()[:MOST_FAULTS]:
        location = tuple(key for key in fault["loc"] if isinstance(key, str) and not key.startswith("function-"))
        if fault["type"] == NO_SUCH_MODEL:
            location, kind = (*location, "kind"), fault["input"]["kind"]
            text = f"there is no model {shown(kind)}. {nearest(str(kind), MODELS)}"
        elif fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            known = _known_keys(location[:-1])
            text = f"there is no such key. {nearest(str(location[-1]), known) if known else ''}".strip()
        else:
            text = sentence(fault)
        if location[0] == "model" and location[1:2] and location[1] in MODELS:  # the tag of the choice, not a key
            location = location[:1] + location[2:]
        lines.append(f"{origin}: {'.'.join(location)[:200]}: {text}")
    return "\n".join(lines)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``, section by section; a part of another kind replaces the old one."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, str) and isinstance(value, Mapping):
            old = {"kind": old}
        if isinstance(old, Mapping) and isinstance(value, str) and "kind" in old:
            value = {"kind": value}
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            replaced = "kind" in value and value["kind"] != old.get("kind")
            result[key] = dict(value) if replaced else merged(old, value)
        else:
            result[key] = value
    return result


def with_networks(over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which ``model.network`` has become the encoder and the decoder; their own settings lie over it."""
    given = {key: value for key, value in over.items() if value is not None}  # a section left empty says nothing
    values = {key: dict(value) if isinstance(value, Mapping) else value for key, value in given.items()}
    model = values.get("model")
    if isinstance(model, dict) and "network" in model:
        network = model.pop("network")
        for part in ("encoder", "decoder"):
            own = {part: model[part]} if model.get(part) is not None else {}
            model[part] = merged({part: network}, own)[part]
    return values


def build_part(section: str, part: Part, context: Mapping[str, Any]) -> Any:
    """Calls the constructor behind a part with its settings and what the context knows.

    Raises:
        PartError: from the constructor.
    """
    accepted = inspect.signature(constructor(section, part.kind)).parameters
    known = {name: value for name, value in context.items() if name in accepted}
    return constructor(section, part.kind)(**(known | part.settings))


def build_model(config: FlatConfig | HierarchicalConfig, spec: DataSpec) -> Autoencoder:
    """Puts a model together for these data.

    Raises:
        PartError: if parts do not fit each other or the data, or the memory.
    """
    composers: dict[str, Callable[..., Autoencoder]] = {"flat": _flat, "hierarchical": _hierarchical}
    return affordable(lambda: composers[config.kind](config, spec))


def _context(config: FlatConfig | HierarchicalConfig, spec: DataSpec) -> tuple[Likelihood, dict[str, Any]]:
    """The likelihood, and what the constructors of the other parts may ask for."""
    context: dict[str, Any] = {"data_shape": spec.shape}
    if spec.levels and spec.binarize == "none":
        context["levels"] = spec.levels
    likelihood = build_part("likelihood", config.likelihood, context)
    if likelihood.unit_interval and spec.kind == "real":
        raise PartError(
            f"{config.likelihood.kind} is a likelihood of values in [0, 1]; {spec.name} holds real numbers. "
            "Use normal or laplace."
        )
    return likelihood, context | {"out_shape": likelihood.out_shape}


def _units(spec: DataSpec) -> dict[str, Any]:
    return {"shift": spec.shift, "scale": spec.scale}


def _corruption(config: FlatConfig | HierarchicalConfig, spec: DataSpec) -> Corruption | None:
    """The corruption, in the units of real data."""
    if config.corruption is None:
        return None
    corruption: Corruption = build_part("corruption", config.corruption, {"data_shape": spec.shape})
    if spec.kind != "real":
        return corruption
    return StandardizedCorruption(corruption, data_shape=spec.shape, **_units(spec))


def _hierarchical(config: HierarchicalConfig, spec: DataSpec) -> HierarchicalVAE:
    likelihood, context = _context(config, spec)
    hierarchy = build_part("hierarchy", config.hierarchy, context)
    context["latent_dim"] = hierarchy.latent_dims[0]
    if spec.kind == "real":
        hierarchy = StandardizedHierarchy(hierarchy, **_units(spec))
        likelihood = StandardizedLikelihood(likelihood, **_units(spec))
    return HierarchicalVAE(
        hierarchy=hierarchy,
        top=build_part("prior", config.top, context),
        likelihood=likelihood,
        kl=config.kl,
        corruption=_corruption(config, spec),
        spectral=config.spectral,
    )


def _flat(config: FlatConfig, spec: DataSpec) -> VAE:
    likelihood, context = _context(config, spec)
    context["latent_dim"] = config.latent_dim
    encoder = build_part("encoder", config.encoder, context)
    context["in_dim"] = encoder.out_dim
    if hasattr(encoder, "grid"):
        context["grid"] = encoder.grid
    if spec.kind == "real":
        encoder = StandardizedEncoder(encoder, **_units(spec))
        likelihood = StandardizedLikelihood(likelihood, **_units(spec))
    posterior = build_part("posterior", config.posterior, context)
    context |= {name: getattr(posterior, name) for name in OF_CODES if hasattr(posterior, name)}
    return VAE(
        encoder=encoder,
        posterior=posterior,
        prior=build_part("prior", config.prior, context) if config.prior else None,
        decoder=build_part("decoder", config.decoder, context),
        likelihood=likelihood,
        kl=config.kl,
        corruption=_corruption(config, spec),
    )


def build_objective(part: Part, model: Autoencoder, seed: int) -> Objective:
    """An objective for a model, with the first weights of the networks it owns.

    Raises:
        PartError: from the constructor.
    """
    context = {"latent_dim": model.latent_dim, "data_shape": model.data_shape}
    with seeded(seed, "objective"):
        objective: Objective = build_part("objective", part, context)
    return objective


def describe(part: Any, section: str) -> dict[str, Any]:
    """A part as kind and constructor arguments, read from the attributes of the same names.

    Raises:
        PartError: if its class is not in the table.
    """
    kinds = {cls: kind for kind, cls in PARTS[section].items()}
    if type(part) not in kinds:
        raise PartError(
            f"The {section} is a {type(part).__name__}, which reparam cannot rebuild from disk. "
            "Save its weights with torch or safetensors, or compose it from reparam's parts."
        )
    described: dict[str, Any] = {"kind": kinds[type(part)]}
    for name in inspect.signature(type(part)).parameters:
        value = getattr(part, name)
        if isinstance(value, nn.Module):
            value = describe(value, _seam(name, section))
        described[name] = list(value) if isinstance(value, tuple) else value
    return described


def _seam(name: str, section: str) -> str:
    """The seam of the part that an argument holds: its own name's, or that of the part which takes it."""
    name = SECTIONS.get(name, name)
    return name if name in PARTS else section


def rebuild(described: Mapping[str, Any], section: str, weights: int | None = None) -> Any:
    """The part that :func:`describe` described.

    Args:
        described: Kind and constructor arguments, perhaps a stranger's.
        section: Its seam.
        weights: How many weights it may have; None allows what the memory holds.
    Raises:
        PartError: if it has more, or is nothing that can be built.
    """
    return affordable(lambda: _rebuilt(described, section), weights)


def _rebuilt(described: Mapping[str, Any], section: str) -> Any:
    arguments: dict[str, Any] = {}
    for name, value in described.items():
        if name.endswith("_shape") and len(value) > MOST_AXES:
            raise PartError(f"{name} has {len(value)} axes, expected at most {MOST_AXES}.")
        if isinstance(value, Mapping) and "kind" in value:
            value = _rebuilt(value, _seam(name, section))
        arguments[name] = tuple(value) if isinstance(value, list) else value
    return constructor(section, arguments.pop("kind"))(**arguments)
