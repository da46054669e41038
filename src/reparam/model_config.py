"""The model's section of a configuration: which graphical model, and the kinds and settings of its parts."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PydanticUserError,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from reparam.distributions.kl import KLMethod
from reparam.errors import PartError, ReparamError, meant, nearest
from reparam.parts import PARTS, SECTIONS, WRAPPERS, arguments, constructor, settings_of
from reparam.reading import shown
from reparam.trust import is_path

OF_EACH = ("encoders", "decoders", "likelihoods", "imputers")  # fields that hold a part for each observation


class Part(BaseModel):
    """A part by its kind, and its settings."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str

    @property
    def settings(self) -> dict[str, Any]:
        """What was given beside the kind."""
        return dict(self.__pydantic_extra__ or {})


def checked_part(section: str, value: Any) -> Any:
    """A part with its kind and settings checked, for pydantic.

    Raises:
        ValueError: if the kind or a setting is unknown, or a setting has a wrong value.
    """
    value = {"kind": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ValueError(f"expected a kind, or a mapping with a kind and its settings (got {shown(value)})")
    kind = value["kind"]
    kinds = [name for name in PARTS[section] if name not in WRAPPERS]
    if kind not in kinds and not is_path(kind):
        raise ValueError(f"there is no {section} {shown(kind)}. {nearest(kind, kinds)}")
    try:
        known = settings_of(section, kind)
    except ReparamError as error:  # of a class named by its import path
        raise ValueError(str(error)) from None
    checked = {"kind": kind}
    for name, setting in value.items():
        if name == "kind":
            continue
        if name not in known:
            raise ValueError(
                f"{kind} has no setting {shown(name)}. {nearest(str(name), known) if known else ''}".strip()
            )
        try:
            checked[name] = TypeAdapter(_type_of(known[name])).validate_python(setting)
        except PydanticUserError:  # of a class that pydantic knows nothing of
            checked[name] = setting
        except ValidationError as error:
            raise ValueError(f"{name}: {alternatives(error.errors())}") from None
    return checked


def _type_of(setting: inspect.Parameter) -> Any:
    """What a setting may be: anything, where the class says nothing or says it in a text."""
    found = setting.annotation
    return Any if found is setting.empty or isinstance(found, str) else found


def alternatives(faults: Sequence[Any]) -> str:
    """What a value of several types might have been, in our words; a word that is nearly one of them is just that."""
    said = dict.fromkeys(map(sentence, faults))
    return next((one for one in said if one.endswith("'?")), " or ".join(said))


def sentence(error: Any) -> str:
    """One fault that pydantic found, in our words; of a misspelt word also the one that is meant."""
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if error["type"] == "unexpected_keyword_argument":
        return f"there is no setting {shown(error['loc'][-1])}"
    if error["type"] == "value_error":
        return message
    said = f"{message} (got {shown(error['input'])})"
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        near = meant(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
        return f"{said}. {near}" if near else said
    return said


def build_part(section: str, part: Part, context: Mapping[str, Any]) -> Any:
    """Calls the constructor behind a part with its settings and what the context knows.

    Raises:
        PartError: from the constructor.
    """
    accepted = arguments(constructor(section, part.kind))
    known = {name: value for name, value in context.items() if name in accepted}
    given = known | part.settings
    lacking = [name for name, one in accepted.items() if one.default is one.empty and name not in given]
    if lacking:
        raise PartError(
            f"model.{section}: {part.kind} needs {lacking[0]}, which this model does not have. Take another."
        )
    return constructor(section, part.kind)(**(known | part.settings))


def one_word(value: Any) -> Any:
    """A single name, or number, as a tuple of one, for pydantic."""
    return (value,) if isinstance(value, str | int) else value


Into = Annotated[tuple[Literal["encoder", "decoder", "prior"], ...] | None, BeforeValidator(one_word)]
Names = Annotated[tuple[str, ...], BeforeValidator(one_word)]


class Strict(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _checked(value: Any, info: ValidationInfo) -> Any:
    """A field checked as the part that it holds, if it holds one, or as one for each observation."""
    section = SECTIONS.get(str(info.field_name), str(info.field_name))
    if value is None or section not in PARTS:
        return value
    if info.field_name not in OF_EACH:
        return checked_part(section, value)
    if not isinstance(value, Mapping):
        raise ValueError(f"expected one for each observation, by its name (got {shown(value)})")
    checked = {}
    for name, one in value.items():
        try:
            checked[name] = checked_part(section, one)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return checked


def _of_condition(value: Any, info: ValidationInfo) -> Any:
    """What a condition goes into, where there is one."""
    if value is not None and info.data.get("condition") is None:
        raise ValueError("there is no condition that could go into them. Set model.condition, or leave this out")
    return value


class _FlatParts(Strict):
    """The parts of a model with one latent; each is a kind, or a kind with its settings.

    Attributes:
        condition: What the model is told of each example.
        condition_into: The parts that the condition goes into; None for all that can take it.
    """

    latent_dim: Annotated[int, Field(ge=1)] = 32
    encoder: Part
    posterior: Part
    prior: Part | None
    decoder: Part
    likelihood: Part
    kl: KLMethod = "auto"
    corruption: Part | None = None
    condition: Part | None = None
    condition_into: Into = None

    _parts = field_validator("*", mode="before")(_checked)
    _told = field_validator("condition_into")(_of_condition)

    @property
    def network(self) -> Part:
        """The network that sees x."""
        return self.encoder


class FlatConfig(_FlatParts):
    """A flat model, with its parts."""

    kind: Literal["flat"] = "flat"


class SemiSupervisedConfig(_FlatParts):
    """A flat model that is told a class, which is a latent where it is not seen.

    Attributes:
        classifier: The network of q(y|x).
        alpha: Weight of log q(y|x) where the class is seen.
    """

    kind: Literal["semi-supervised"] = "semi-supervised"
    classifier: Part
    alpha: Annotated[float, Field(ge=0)] = 10.0


class GroupedConfig(_FlatParts):
    """A flat model whose first dimensions are one for all members of a group: of ``groups``, else of a label.

    Attributes:
        content_dim: How many they are.
        evidence: How the posteriors of the members are put together.
        style_dropout: Share of training examples whose other dimensions are drawn from the prior.
    """

    kind: Literal["grouped"] = "grouped"
    content_dim: Annotated[int, Field(ge=1)] = 10
    evidence: Literal["product", "mean"] = "product"
    style_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25


class HierarchicalConfig(Strict):
    """The parts of a hierarchical model; each is a kind, or a kind with its settings.

    Attributes:
        hierarchy: The way up from x and the way down to x, with its depth.
        top: The prior of the top group.
        spectral: Weight of the penalty on the spectral norms of its weights.
        condition: What the model is told of each example.
        condition_into: What the condition goes into: ``encoder`` is the way up, ``decoder`` the way down, ``prior``
            that of the top group; None for all that can take it.
    """

    kind: Literal["hierarchical"] = "hierarchical"
    hierarchy: Part
    top: Part = Part(kind="normal")
    likelihood: Part
    kl: KLMethod = "auto"
    corruption: Part | None = None
    spectral: Annotated[float, Field(ge=0)] = 0.0
    condition: Part | None = None
    condition_into: Into = None

    _parts = field_validator("*", mode="before")(_checked)
    _told = field_validator("condition_into")(_of_condition)

    @property
    def network(self) -> Part:
        """The network that sees x."""
        return self.hierarchy


class SequentialConfig(Strict):
    """The parts of a model of sequences; each is a kind, or a kind with its settings.

    Attributes:
        dynamics: Memory, and how the code of a step is distributed.
        encoder: The network of one value.
    """

    kind: Literal["sequential"] = "sequential"
    encoder: Part
    dynamics: Part
    decoder: Part
    likelihood: Part

    _parts = field_validator("*", mode="before")(_checked)

    @property
    def network(self) -> Part:
        """The network that sees x."""
        return self.encoder


class ImplicitConfig(Strict):
    """The parts of a model that makes examples and has no encoder; each is a kind, or a kind with its settings.

    Attributes:
        condition: What the decoder is told of each example.
    """

    kind: Literal["implicit"] = "implicit"
    latent_dim: Annotated[int, Field(ge=1)] = 32
    prior: Part = Part(kind="normal")
    decoder: Part
    likelihood: Part
    condition: Part | None = None

    _parts = field_validator("*", mode="before")(_checked)

    @property
    def network(self) -> Part:
        """The network that makes x."""
        return self.decoder


class _ObservedParts(Strict):
    """The parts of a model of several observations: of some, one for each of them, by name.

    Attributes:
        encoders, decoders, likelihoods: One for each observation.
        hidden: Share of the training examples of which q(z|x) does not see some observations.
    """

    latent_dim: Annotated[int, Field(ge=1)] = 16
    encoders: dict[str, Part]
    posterior: Part
    prior: Part = Part(kind="normal")
    decoders: dict[str, Part]
    likelihoods: dict[str, Part]
    kl: KLMethod = "auto"
    hidden: Annotated[float, Field(ge=0, le=1)] = 0.0

    _parts = field_validator("*", mode="before")(_checked)

    @property
    def network(self) -> Part:
        """The network that sees the first observation."""
        return next(iter(self.encoders.values()), self.posterior)


class MultimodalConfig(_ObservedParts):
    """A flat model of several observations, any of which may be missing."""

    kind: Literal["multimodal"] = "multimodal"


class HybridConfig(_ObservedParts):
    """A model of several observations, of which some are guessed where they are missing.

    Attributes:
        imputed: Names of those.
        imputers: The network of q(h|d) for each observation; like the encoders where none are given.
        alpha: Weight of log q(h|d) where h is there.
    """

    kind: Literal["hybrid"] = "hybrid"
    imputed: Names = ()
    imputers: dict[str, Part] | None = None
    alpha: Annotated[float, Field(ge=0)] = 1.0


AnyModel = (
    FlatConfig
    | HierarchicalConfig
    | SemiSupervisedConfig
    | ImplicitConfig
    | GroupedConfig
    | SequentialConfig
    | MultimodalConfig
    | HybridConfig
)
MODELS: dict[str, type[AnyModel]] = {
    "flat": FlatConfig,
    "hierarchical": HierarchicalConfig,
    "semi-supervised": SemiSupervisedConfig,
    "implicit": ImplicitConfig,
    "grouped": GroupedConfig,
    "sequential": SequentialConfig,
    "multimodal": MultimodalConfig,
    "hybrid": HybridConfig,
}
CONDITIONED = ("flat", "hierarchical", "semi-supervised", "implicit")  # kinds that are told a condition
NO_SUCH_MODEL = "no_such_model"


def _kind_of(value: Any) -> Any:
    """The kind of a model's settings; those that name none are of a flat one."""
    kind = value.get("kind", "flat") if isinstance(value, Mapping) else getattr(value, "kind", "flat")
    return kind if isinstance(kind, str) else ""


ModelConfig = Annotated[
    Annotated[FlatConfig, Tag("flat")]
    | Annotated[HierarchicalConfig, Tag("hierarchical")]
    | Annotated[SemiSupervisedConfig, Tag("semi-supervised")]
    | Annotated[ImplicitConfig, Tag("implicit")]
    | Annotated[GroupedConfig, Tag("grouped")]
    | Annotated[SequentialConfig, Tag("sequential")]
    | Annotated[MultimodalConfig, Tag("multimodal")]
    | Annotated[HybridConfig, Tag("hybrid")],
    Discriminator(_kind_of, custom_error_type=NO_SUCH_MODEL, custom_error_message="there is no such model"),
]
