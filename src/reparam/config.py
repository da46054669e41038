"""Typed configuration: YAML <-> Config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator

from reparam.data.spec import Axes, SplitBy, Values
from reparam.errors import ConfigError, nearest
from reparam.model_config import (
    CONDITIONED,
    MODELS,
    NO_SUCH_MODEL,
    ModelConfig,
    Names,
    Part,
    Strict,
    checked_part,
    one_word,
    sentence,
)
from reparam.reading import parse_yaml, read_text, shown
from reparam.training import TrainSettings
from reparam.training.settings import Switch

Column = Annotated[str, Field(coerce_numbers_to_str=True)]
Columns = Annotated[tuple[Column, ...], BeforeValidator(one_word)]

MOST_YAML = 50_000
MOST_FAULTS = 20


class DataConfig(Strict):
    """Which data, and how they are prepared.

    Attributes:
        source: A name, a path, or empty for data given from Python.
        size: Side, or height and width, that images are resized to.
        axes: What each axis of the arrays is; ``auto`` finds it out.
        values: What the numbers are; ``auto`` finds it out.
        binarize: ``dynamic`` draws Bernoulli(x) afresh each epoch, ``threshold`` cuts at 0.5.
        validation: Share (below 1) or number of training examples cut off for validation, where the source has none.
        split_by: Whether random splits take single examples or whole groups (of labels, where there are no groups).
        limit: Seeded random subset of each split.
        labelled: How many training examples keep their labels.
        observations: What x is made of, where several things are seen of each example.
        hidden: In what share of the training examples an observation is hidden, by name.
        pieces: Training sequences are cut into pieces of at most so many steps.
        seed: Seed of random splits and subsets; apart from the run's seed, so that runs share a test split.
        columns: The columns of a table that x is made of; all those of numbers, where none is named.
        label_column: The column of a table that holds the labels, where its name does not say so.
        group_column: Likewise the column of groups.
        stream: ``on`` leaves the data on disk, ``off`` loads them, ``auto`` streams what is large beside the memory.
    """

    source: str = "digits"
    size: int | tuple[int, int] | None = None
    axes: Axes = "auto"
    values: Values = "auto"
    binarize: Literal["none", "dynamic", "threshold"] = "none"
    validation: Annotated[float, Field(gt=0)] | None = None
    split_by: SplitBy = "examples"
    limit: Annotated[int, Field(ge=1)] | None = None
    labelled: Annotated[int, Field(ge=1)] | None = None
    observations: Names = ()
    hidden: dict[str, Annotated[float, Field(ge=0, le=1)]] | None = None
    pieces: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    columns: Columns = ()
    label_column: Column | None = None
    group_column: Column | None = None
    stream: Switch = "auto"


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


def _other_key(location: tuple[Any, ...]) -> str:
    """What to write instead of a key that is not known: the nearest one, or a model that takes a condition."""
    *owner, key = location
    if owner[:1] == ["model"] and str(key).startswith("condition"):
        return f"Models of kind {owner[-1]} take no condition; those of kind {', '.join(CONDITIONED)} do."
    known = _known_keys(tuple(owner))
    return nearest(str(key), known) if known else ""


def _readable(error: ValidationError, origin: str) -> str:
    lines = []
    for fault in error.errors()[:MOST_FAULTS]:
        location = tuple(key for key in fault["loc"] if isinstance(key, str) and not key.startswith("function-"))
        if fault["type"] == NO_SUCH_MODEL:
            location, kind = (*location, "kind"), fault["input"]["kind"]
            text = f"there is no model {shown(kind)}. {nearest(str(kind), MODELS)}"
        elif fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            text = f"there is no such key. {_other_key(location)}".strip()
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
