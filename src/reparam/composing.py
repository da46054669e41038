"""Puts models together from their parts, and says of a model how it can be put together again."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, is_dataclass, replace
from typing import Any, Literal

from torch import nn

from reparam.data import DataSpec
from reparam.distributions import EUCLIDEAN, StructuredCodes
from reparam.errors import PartError
from reparam.likelihoods import Likelihood, ObservationsLikelihood, StandardizedLikelihood, require_fitting
from reparam.model_config import (
    AnyModel,
    FlatConfig,
    GroupedConfig,
    HierarchicalConfig,
    ImplicitConfig,
    Part,
    SemiSupervisedConfig,
    SequentialConfig,
    build_part,
)
from reparam.models import (
    VAE,
    Autoencoder,
    GroupedVAE,
    HierarchicalVAE,
    ImplicitModel,
    SemiSupervisedVAE,
    SequentialVAE,
)
from reparam.networks import (
    Condition,
    ConditionalDecoder,
    ConditionalEncoder,
    ConditionalHierarchy,
    Corruption,
    Decoder,
    Encoder,
    Hierarchy,
    MapDecoder,
    StandardizedCorruption,
    StandardizedEncoder,
    StandardizedHierarchy,
    widened,
)
from reparam.objectives import AnyObjective, Objective
from reparam.observing import hybrid, multimodal
from reparam.parts import PARTS, SECTIONS, constructor
from reparam.priors import ConditionalPrior, Prior
from reparam.rng import seeded
from reparam.shapes import Shape, numel
from reparam.trust import path_of
from reparam.weighing import affordable

MOST_AXES = 8
OneLatent = FlatConfig | SemiSupervisedConfig | GroupedConfig
Decoding = OneLatent | ImplicitConfig
OF_CODES = ("grid", "codes")  # what a prior over codes takes from the posterior


def build_model(config: AnyModel, spec: DataSpec) -> Autoencoder:
    """Puts a model together for these data.

    Raises:
        PartError: if parts do not fit each other or the data, or the memory.
    """
    composers: dict[str, Callable[..., Autoencoder]] = {
        "flat": _flat,
        "hierarchical": _hierarchical,
        "semi-supervised": _semi_supervised,
        "implicit": _implicit,
        "grouped": _grouped,
        "sequential": _sequential,
        "multimodal": multimodal,
        "hybrid": hybrid,
    }
    model: Autoencoder = affordable(lambda: composers[config.kind](config, spec))
    model.class_names = spec.class_names
    return model


def _context(
    config: Decoding | HierarchicalConfig | SequentialConfig, spec: DataSpec
) -> tuple[Likelihood, dict[str, Any]]:
    """The likelihood, and what the constructors of the other parts may ask for."""
    if spec.observations:
        raise PartError(
            f"model: a {config.kind} VAE is one of x alone, and {spec.name} has several observations "
            f"({', '.join(spec.places)}). Take the recipe mvae, mmvae, mopoe-vae or hybrid-vae."
        )
    context: dict[str, Any] = {"data_shape": spec.shape}
    if spec.levels and spec.binarize == "none":
        context["levels"] = spec.levels
    likelihood = build_part("likelihood", config.likelihood, context)
    require_fitting(likelihood, config.likelihood.kind, spec)
    return likelihood, context | {"out_shape": likelihood.out_shape}


def _in_units(likelihood: Likelihood, spec: DataSpec) -> Likelihood:
    """The likelihood, in the units of real data."""
    return StandardizedLikelihood(likelihood, spec.shift, spec.scale) if spec.kind == "real" else likelihood


def _corruption(config: OneLatent | HierarchicalConfig, spec: DataSpec) -> Corruption | None:
    """The corruption, in the units of the data."""
    if config.corruption is None:
        return None
    corruption: Corruption = build_part("corruption", config.corruption, {"data_shape": spec.shape})
    return StandardizedCorruption(corruption, data_shape=spec.shape, **spec.units) if spec.units else corruption


def _hierarchical(config: HierarchicalConfig, spec: DataSpec) -> HierarchicalVAE:
    likelihood, context = _context(config, spec)
    condition = None if config.condition is None else _condition(config.condition, spec)
    told = dict.fromkeys(_into(config.condition_into, config.top), condition)
    hierarchy = _two_ways(config.hierarchy, context, spec, told.get("encoder"), told.get("decoder"))
    context["latent_dim"] = hierarchy.latent_dims[0]
    top = _prior(config.top, context, told.get("prior"), config.condition_into is not None)
    assert top is not None
    return HierarchicalVAE(
        hierarchy=hierarchy,
        top=top,
        likelihood=_in_units(likelihood, spec),
        kl=config.kl,
        corruption=_corruption(config, spec),
        spectral=config.spectral,
        condition=condition,
    )


def _two_ways(
    part: Part, context: Mapping[str, Any], spec: DataSpec, up: Condition | None, down: Condition | None
) -> Hierarchy:
    """A hierarchy, whose way up and way down are told a condition or not."""
    shape, units = _beside(spec, up)
    hierarchy: Hierarchy = build_part("hierarchy", part, dict(context) | {"data_shape": shape})
    if units:
        hierarchy = StandardizedHierarchy(hierarchy, **units)
    told = up or down
    return ConditionalHierarchy(hierarchy, told.dim, up is not None, down is not None) if told else hierarchy


def _semi_supervised(config: SemiSupervisedConfig, spec: DataSpec) -> SemiSupervisedVAE:
    return SemiSupervisedVAE(_flat(config, spec), _encoder(config.classifier, {}, spec, None), config.alpha)


def _grouped(config: GroupedConfig, spec: DataSpec) -> GroupedVAE:
    told: Literal["labels", "groups"] = "groups" if spec.groups else "labels"
    if not (spec.groups or spec.classes):
        raise PartError(f"model: a grouped VAE is told groups or labels, and {spec.name} has neither. Add them.")
    return GroupedVAE(_flat(config, spec), config.content_dim, config.evidence, config.style_dropout, told)


def _sequential(config: SequentialConfig, spec: DataSpec) -> SequentialVAE:
    if len(spec.shape) != 2:
        raise PartError(
            f"model: a sequential VAE reads sequences (D, T), {spec.name} has examples of {spec.shape}. Take "
            "sequences (of files of (T, D): --data.axes NTC), or another recipe."
        )
    one = replace(spec, shape=spec.shape[:1])
    likelihood, context = _context(config, one)
    encoder = _encoder(config.encoder, context, one, None)
    context["feature_dim"] = encoder.out_dim
    dynamics = build_part("dynamics", config.dynamics, context)
    context["latent_dim"] = dynamics.step_dim + dynamics.memory_dim
    decoder = build_part("decoder", config.decoder, context)
    likelihood = _in_units(likelihood, spec)
    return SequentialVAE(encoder, dynamics, decoder, likelihood, spec.shape[1], "lengths" in spec.widths)


def _implicit(config: ImplicitConfig, spec: DataSpec) -> ImplicitModel:
    likelihood, context = _context(config, spec)
    context["latent_dim"] = config.latent_dim
    condition = None if config.condition is None else _condition(config.condition, spec)
    decoder = _decoder(config, context, condition)
    prior = build_part("prior", config.prior, context)
    return ImplicitModel(prior, decoder, _in_units(likelihood, spec), condition)


def _flat(config: OneLatent, spec: DataSpec) -> VAE:
    likelihood, context = _context(config, spec)
    context["latent_dim"] = config.latent_dim
    condition = None if config.condition is None else _condition(config.condition, spec)
    told = dict.fromkeys(_into(config.condition_into, config.prior), condition)
    encoder = _encoder(config.encoder, context, spec, told.get("encoder"))
    context["in_dim"] = encoder.out_dim
    posterior = build_part("posterior", config.posterior, _of_map(config, context))
    context |= {name: getattr(posterior, name) for name in OF_CODES if getattr(posterior, name, None) is not None}
    return VAE(
        encoder=encoder,
        posterior=posterior,
        prior=_prior(config.prior, context, told.get("prior"), config.condition_into is not None),
        decoder=_decoder(config, context, told.get("decoder")),
        likelihood=_in_units(likelihood, spec),
        kl=config.kl,
        corruption=_corruption(config, spec),
        condition=condition,
    )


def _into(asked: tuple[str, ...] | None, prior: Part | None) -> tuple[str, ...]:
    """The parts that are told: where nobody says which, no encoder that a prior shows examples of its own."""
    if asked is not None:
        return asked
    infers = prior is not None and constructor("prior", prior.kind).infers  # type: ignore[attr-defined]
    return ("decoder",) if infers else ("encoder", "decoder", "prior")


def _of_map(config: OneLatent, context: Mapping[str, Any]) -> Mapping[str, Any]:
    """The context of the posterior: a grid where the decoder reads one too, or where there is no posterior without."""
    accepted = inspect.signature(constructor("posterior", config.posterior.kind)).parameters
    if "grid" not in accepted or accepted["grid"].default is not None or config.decoder.kind == "map":
        return context
    return {name: value for name, value in context.items() if name != "grid"}


def _condition(part: Part, spec: DataSpec) -> Condition:
    """What the model is told of each example of these data."""
    context: dict[str, Any] = {}
    if part.kind == "classes":
        context = {"classes": len(spec.classes)}
    else:
        name = part.settings.get("name", "attributes")
        context = {"numbers": spec.widths.get(name, 0)}
    if not any((context | part.settings).values()):
        beside = ", ".join((["labels"] if spec.classes else []) + list(spec.widths)) or "nothing"
        other = "vector" if "attributes" in spec.widths else "classes" if spec.classes else ""
        way = f"Set model.condition to {other}" if other else "Take data with labels or attributes"
        raise PartError(
            f"model.condition: {part.kind} finds nothing to be told in {spec.name}, which has {beside} beside x. "
            f"{way}, or a recipe without a condition."
        )
    wanted = part.settings.get("classes")
    if wanted is not None and spec.classes and wanted != len(spec.classes):
        raise PartError(f"model.condition: classes is {wanted}, {spec.name} has {len(spec.classes)}. Leave it out.")
    condition: Condition = build_part("condition", part, context)
    return condition


def _encoder(part: Part, context: dict[str, Any], spec: DataSpec, condition: Condition | None) -> Encoder:
    """An encoder, perhaps told a condition."""
    shape, units = _beside(spec, condition)
    encoder: Encoder = build_part("encoder", part, context | {"data_shape": shape})
    if hasattr(encoder, "grid"):
        context["grid"] = encoder.grid
    if units:
        encoder = StandardizedEncoder(encoder, **units)
    return ConditionalEncoder(encoder, condition.dim) if condition else encoder


def _beside(spec: DataSpec, condition: Condition | None) -> tuple[Shape, dict[str, Any]]:
    """Shape and units of an example with a condition beside it, which has no units."""
    shape, units = widened(spec.shape, condition.dim) if condition else spec.shape, spec.units
    more = shape[0] - spec.shape[0]
    beside = {"shift": (*spec.shift, *(more * (0.0,))), "scale": (*spec.scale, *(more * (1.0,)))}
    return shape, units | beside if units else units


def _decoder(config: Decoding, context: Mapping[str, Any], condition: Condition | None) -> Decoder:
    """The decoder; where it is told a condition its codes are longer."""
    if condition is None:
        decoder: Decoder = build_part("decoder", config.decoder, context)
        return decoder
    by_position = constructor("decoder", config.decoder.kind) is MapDecoder and "grid" in context
    more = numel(context["grid"]) if by_position else condition.dim
    longer = dict(context) | {"latent_dim": config.latent_dim + more}
    return ConditionalDecoder(build_part("decoder", config.decoder, longer), condition.dim)


def _prior(
    part: Part | None, context: Mapping[str, Any], condition: Condition | None, asked: bool = True
) -> Prior | None:
    """The prior, moved by a condition where it is told one; one that cannot be moved only where it was asked for."""
    if part is None:
        return None
    prior: Prior = build_part("prior", part, context)
    if condition is None or not (asked or prior.space == EUCLIDEAN):
        return prior
    return ConditionalPrior(prior, condition.dim, condition.hidden_dims)


def build_objective(part: Part, model: Autoencoder, seed: int) -> AnyObjective:
    """An objective for a model, with the first weights of the networks it owns.

    Raises:
        PartError: from the constructor.
    """
    if not issubclass(constructor("objective", part.kind), Objective):
        _require_seen_by_critics(part.kind, model)
    context: dict[str, Any] = {"latent_dim": model.latent_dim, "data_shape": model.data_shape}
    context["condition"] = getattr(model, "condition", None)
    if isinstance(model.likelihood, StandardizedLikelihood):
        context["units"] = {"shift": model.likelihood.shift, "scale": model.likelihood.scale}
    if isinstance(getattr(model.prior, "space", None), StructuredCodes):
        context["structure"] = astuple(model.prior.space)
    with seeded(seed, "objective"):
        objective: AnyObjective = build_part("objective", part, context)
    return objective


def _require_seen_by_critics(kind: str, model: Autoencoder) -> None:
    """Checks that means of p(x|z) can be shown to a critic beside data.

    Raises:
        PartError: if they cannot.
    """
    if isinstance(model.likelihood, ObservationsLikelihood):
        raise PartError(
            f"objective: {kind} plays against a critic of whole examples, and of several observations some may be "
            "missing. Take elbo or iwae."
        )
    if model.likelihood.of_counts:
        raise PartError(
            f"objective: {kind} shows a critic means of p(x|z), and those of counts are no whole numbers. Take elbo or "
            "iwae, or read the counts as real numbers (--data.values real)."
        )


def describe(part: Any, section: str) -> dict[str, Any]:
    """A part as kind and constructor arguments, read from the attributes of the same names.

    A class that is not in the table is described by its import path, see :mod:`reparam.trust`.

    Raises:
        PartError: if nobody could build it again: its class cannot be imported, or it does not keep an argument.
    """
    cls = type(part)
    kinds = {known: kind for kind, known in PARTS[section].items()}
    described: dict[str, Any] = {"kind": kinds.get(cls) or path_of(cls)}
    for name, argument in inspect.signature(cls).parameters.items():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD) or not hasattr(part, name):
            raise PartError(
                f"The {section} is a {cls.__name__}, which does not keep the argument {name!r} of its constructor, so "
                f"nobody can build it again. Keep it: self.{name} = {name}."
            )
        value = getattr(part, name)
        if isinstance(value, nn.ModuleList):
            value = [describe(one, _seam(name, section)) for one in value]
        elif isinstance(value, nn.Module):
            value = describe(value, _seam(name, section))
        elif is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        elif not _plain(value):
            raise PartError(
                f"The {section} is a {cls.__name__}, whose argument {name!r} is a {type(value).__name__}; expected a "
                "module or plain values, which a file can hold."
            )
        described[name] = list(value) if isinstance(value, tuple) else value
    return described


def _plain(value: Any) -> bool:
    """True for what a file of JSON gives back as it was; a mapping with a kind would come back as a part."""
    if isinstance(value, dict):
        return "kind" not in value and all(isinstance(key, str) and _plain(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int | float)


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
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) and "kind" in one for one in value):
            value = [_rebuilt(one, _seam(name, section)) for one in value]
        arguments[name] = tuple(value) if isinstance(value, list) else value
    part = constructor(section, arguments.pop("kind"))
    retired = getattr(part, "retired", ())  # what earlier versions saved and nobody needs any more
    return part(**{name: value for name, value in arguments.items() if name not in retired})
