"""Puts models of several observations together: a network and a likelihood for each of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from reparam.data import DataSpec
from reparam.data.spec import Observation
from reparam.errors import PartError
from reparam.likelihoods import Likelihood, NormalLikelihood, ObservationsLikelihood, OneHotLikelihood
from reparam.likelihoods import StandardizedLikelihood as Standardized
from reparam.model_config import HybridConfig, MultimodalConfig, Part, build_part
from reparam.models import VAE, HybridVAE
from reparam.networks import HiddenObservations, ObservationsDecoder, ObservationsEncoder, with_mask

ObservedConfig = MultimodalConfig | HybridConfig


def _require(config: ObservedConfig, spec: DataSpec) -> tuple[Observation, ...]:
    """The observations, which the configuration must name.

    Raises:
        PartError: if there are none, or others.
    """
    names = [one.name for one in spec.observations]
    if not names:
        raise PartError(
            f"model: a {config.kind} VAE is one of several observations, and {spec.name} has one. Name them by "
            "--data.observations, such as x,labels, or take another recipe."
        )
    for section in ("encoders", "decoders", "likelihoods"):
        if list(getattr(config, section)) != names:
            given = ", ".join(getattr(config, section)) or "nothing"
            raise PartError(
                f"model.{section}: got {given}, expected one for each of {', '.join(names)}, in this order."
            )
    return spec.observations


def _encoder(parts: Mapping[str, Part], observations: Iterable[Observation]) -> ObservationsEncoder:
    pairs = [(one, parts[one.name]) for one in observations]
    return ObservationsEncoder(
        [build_part("encoder", part, {"data_shape": with_mask(one.shape)}) for one, part in pairs],
        [one.shift for one, _ in pairs],
        [one.scale for one, _ in pairs],
    )


def _likelihood(part: Part, one: Observation) -> Likelihood:
    """The likelihood of an observation, in its own units.

    Raises:
        PartError: if it is one of other values.
    """
    built: Likelihood = build_part("likelihood", part, {"data_shape": one.shape})
    wrong = built.of_classes != (one.kind == "classes") or (built.binary and one.kind != "binary") or built.of_counts
    if wrong or (built.unit_interval and one.kind == "real") or getattr(built, "pen", False):
        raise PartError(f"model.likelihoods.{one.name}: {part.kind} is not for {one.kind} values. Take another.")
    return Standardized(built, one.shift, one.scale) if one.kind == "real" else built


def _vae(config: ObservedConfig, spec: DataSpec) -> VAE:
    observations = _require(config, spec)
    encoder = _encoder(config.encoders, observations)
    likelihoods = [_likelihood(config.likelihoods[one.name], one) for one in observations]
    context: dict[str, Any] = {"latent_dim": config.latent_dim}
    decoders = [
        build_part("decoder", config.decoders[one.name], context | {"out_shape": likelihood.out_shape})
        for one, likelihood in zip(observations, likelihoods, strict=True)
    ]
    shapes = [one.shape for one in observations]
    context |= {"in_dim": encoder.out_dim, "widths": encoder.widths}
    return VAE(
        encoder=encoder,
        posterior=build_part("posterior", config.posterior, context),
        prior=build_part("prior", config.prior, context),
        decoder=ObservationsDecoder(decoders),
        likelihood=ObservationsLikelihood(likelihoods),
        kl=config.kl,
        corruption=HiddenObservations(shapes, config.hidden) if config.hidden else None,
    )


def multimodal(config: MultimodalConfig, spec: DataSpec) -> VAE:
    """A flat VAE whose parts have a part for each observation."""
    return _vae(config, spec)


def hybrid(config: HybridConfig, spec: DataSpec) -> HybridVAE:
    """A VAE of all observations, and the network that guesses those that are missing.

    Raises:
        PartError: if one is to be guessed that is not there, or cannot be.
    """
    vae = _vae(config, spec)
    names = [one.name for one in spec.observations]
    unknown = [name for name in config.imputed if name not in names]
    if unknown or not config.imputed:
        given = ", ".join(config.imputed) or "nothing"
        raise PartError(
            f"model.imputed: got {given}, expected some of {', '.join(names)}, not all. What is 0 or 1 cannot be "
            "guessed; the recipe 'mvae' leaves it out where it is missing."
        )
    chosen = [one for one in spec.observations if one.name in config.imputed]
    assert isinstance(vae.likelihood, ObservationsLikelihood)
    own: dict[str, Any] = dict(zip(names, vae.likelihood.likelihoods, strict=True))
    guess = ObservationsLikelihood([_guess(one, own[one.name]) for one in chosen])
    imputer = _encoder(config.imputers or config.encoders, spec.observations)
    return HybridVAE(vae, imputer, guess, [names.index(one.name) for one in chosen], config.alpha)


def _guess(one: Observation, likelihood: Likelihood) -> Likelihood:
    """q(h|d) of one observation: a class, or Normals whose scale is predicted.

    Raises:
        PartError: if its draws have no gradient, or its likelihood no density at some of them.
    """
    if one.kind == "classes":
        return OneHotLikelihood(one.shape)
    if one.kind == "binary" or likelihood.unit_interval:
        values = "of 0 and 1" if one.kind == "binary" else "by a likelihood within 0 and 1"
        raise PartError(
            f"model.imputed: {one.name} is {values}; expected a class, or numbers with a likelihood such as 'normal'. "
            "Leave it out: where it is missing, it has no density."
        )
    normal = NormalLikelihood(one.shape, "predicted")
    return Standardized(normal, one.shift, one.scale) if one.kind == "real" else normal
