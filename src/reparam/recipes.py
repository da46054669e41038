"""Named methods as data: each recipe is a short function from the data's spec to a Config, with its paper."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from reparam.config import Config, build_model, merged, parse_config, with_networks
from reparam.data import Data, DataSpec
from reparam.data.records import Binarize
from reparam.errors import UnknownNameError, nearest
from reparam.models import VAE
from reparam.shapes import numel, spatial

Values = dict[str, Any]
Recipe = Callable[[DataSpec], Values]

SMALLEST_IMAGE = 16
STEPS = 4000
MOST_EPOCHS = 300
LEARNING_RATES = {"conv": 4e-3, "mlp": 2e-3}


def _latent_dim(spec: DataSpec) -> int:
    if len(spec.shape) == 1:
        return max(2, min(16, spec.shape[0] // 2))
    return 40 if numel(spec.shape) >= 256 else 16


def _network(spec: DataSpec) -> str:
    return "conv" if len(spec.shape) > 1 and max(spatial(spec.shape)) >= SMALLEST_IMAGE else "mlp"


def _noise(spec: DataSpec) -> Values:
    """The likelihood of the lectures for these data: Bernoulli for binary ones, Normal with a fixed sigma otherwise."""
    if spec.effective_kind == "binary":
        return {"kind": "bernoulli"}
    return {"kind": "normal", "scale": 0.3 if spec.kind == "real" else 0.1}


def _variational(spec: DataSpec, likelihood: Values) -> Values:
    network = _network(spec)
    return {
        "model": {
            "latent_dim": _latent_dim(spec),
            "encoder": {"kind": network},
            "posterior": {"kind": "normal"},
            "prior": {"kind": "normal"},
            "decoder": {"kind": network},
            "likelihood": likelihood,
            "kl": "auto",
            "corruption": None,
        },
        "objective": {"kind": "elbo", "warmup": 0.05},
    }


def _autoencoder(spec: DataSpec) -> Values:
    values = _variational(spec, {"kind": "reconstruction", "distance": "l2"})
    values["model"] |= {"posterior": {"kind": "point"}, "prior": None}
    values["objective"] = {"kind": "elbo"}
    return values


def ae(spec: DataSpec) -> Values:
    """Autoencoder: a code without noise and a distance (l1, l2, ssim, ms-ssim).

    Source:
        Reducing the dimensionality of data with neural networks (Hinton & Salakhutdinov, 2006).
    """
    return _autoencoder(spec)


def dae(spec: DataSpec) -> Values:
    """De-noising autoencoder: reconstructs clean data from damaged ones (mask, gaussian, salt-and-pepper).

    Source:
        Extracting and composing robust features with denoising autoencoders (Vincent et al., 2008).
    """
    values = _autoencoder(spec)
    values["model"] |= {"corruption": {"kind": "mask", "probability": 0.5}}
    if len(spec.shape) > 1:
        values["model"]["latent_dim"] = 2 * values["model"]["latent_dim"]
    return values


def vae(spec: DataSpec) -> Values:
    """Variational autoencoder: the ELBO with a Normal posterior and prior.

    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114.
    """
    return _variational(spec, _noise(spec))


def beta_vae(spec: DataSpec) -> Values:
    """VAE whose KL weighs beta times, for disentangled dimensions.

    Source:
        beta-VAE (Higgins et al., 2017), eq. 4.
    """
    values = _variational(spec, _noise(spec))
    values["objective"]["beta"] = 4.0
    return values


def sigma_vae(spec: DataSpec) -> Values:
    """VAE whose Normal noise has the optimal shared sigma, in closed form.

    Source:
        Simple and effective VAE training with calibrated decoders (Rybkin et al., 2021), arXiv:2006.13202.
    """
    return _variational(spec, {"kind": "normal", "scale": "optimal"})


def laplace_vae(spec: DataSpec) -> Values:
    """VAE with Laplace noise of a learned scale: the absolute error in nats, robust to outliers.

    Source:
        Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114, with the l1 likelihood.
    """
    return _variational(spec, {"kind": "laplace", "scale": "learned"})


RECIPES: dict[str, Recipe] = {
    "ae": ae,
    "dae": dae,
    "vae": vae,
    "beta-vae": beta_vae,
    "sigma-vae": sigma_vae,
    "laplace-vae": laplace_vae,
}
BINARY_BY_CONVENTION = ("vae", "beta-vae")


def require_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        UnknownNameError: if there is none; the nearest one is named.
    """
    if name not in RECIPES:
        raise UnknownNameError(f"There is no recipe {name!r}. {nearest(name, RECIPES)}")
    return RECIPES[name]


def _section(over: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of the user's settings; empty where it is no mapping, which parse_config reports with the rest."""
    section = over.get(name)
    return section if isinstance(section, Mapping) else {}


def binarization(name: str, spec: DataSpec, over: Mapping[str, Any]) -> Binarize:
    """How the data are made binary: as told, as they are, as the likelihood needs it, or as in the literature."""
    told = _section(over, "data").get("binarize")
    if told is not None:
        return told
    if spec.binarize != "none":
        return spec.binarize
    chosen = _section(over, "model").get("likelihood")
    kind = chosen.get("kind") if isinstance(chosen, Mapping) else chosen
    if spec.kind in ("binary", "real"):
        return "none"
    if kind is not None:
        return "dynamic" if kind == "bernoulli" else "none"
    return spec.conventional_binarize if name in BINARY_BY_CONVENTION else "none"


def default_epochs(count: int, batch_size: int) -> int:
    """Epochs when nobody says how long: about 4,000 steps, from 20 to 300 epochs."""
    return max(20, min(MOST_EPOCHS, math.ceil(STEPS / max(1, count // batch_size))))


def resolve(name: str, data: Data, over: Mapping[str, Any] | None = None, origin: str = "settings") -> Config:
    """The full configuration of a recipe for these data, with the user's settings laid over it.

    Args:
        name: A recipe.
        data: What it will be trained on.
        over: Settings by section, as in ``config.yaml``.
        origin: Where they came from, for error messages.
    Raises:
        UnknownNameError: if there is no such recipe.
        ConfigError: if a setting is unknown or has a wrong value.
    """
    recipe = require_recipe(name)
    over = with_networks(over or {})
    binarize = binarization(name, data.spec, over)
    base = recipe(data.binarized(binarize).spec)
    base |= {"recipe": name, "data": {"binarize": binarize}, "seed": 0}
    values = merged(base, over)
    config = parse_config(values, origin)
    defaults: Values = {}
    if config.model is not None:
        defaults["learning_rate"] = LEARNING_RATES[config.model.encoder.kind]
    if config.train.epochs is None and config.train.max_minutes is None:
        defaults["epochs"] = default_epochs(len(data.train), config.train.batch_size)
    return parse_config(values | {"train": defaults | dict(values.get("train", {}))}, origin)


def build(name: str, data: Data, **settings: Any) -> VAE:
    """A model by the name of its recipe, for these data.

    Args:
        name: A recipe.
        data: Gives the shape and kind of x.
        **settings: Settings of the ``model`` section, such as ``latent_dim=32``.
    Raises:
        UnknownNameError: if there is no such recipe.
        ConfigError: if a setting is unknown or has a wrong value.
    """
    config = resolve(name, data, {"model": settings})
    assert config.model is not None
    return build_model(config.model, data.binarized(config.data.binarize).spec)
