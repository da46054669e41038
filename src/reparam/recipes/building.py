"""What the recipes are made of: settings that fit the data."""

from collections.abc import Callable
from typing import Any

from reparam.data import DataSpec
from reparam.shapes import numel, suits_convolutions

Values = dict[str, Any]
Recipe = Callable[[DataSpec], Values]

# a weight is forgotten in 1 / (learning rate x decay) steps: 26 epochs of 50,000 images, so that hours do not overfit
DECAY: Values = {"optimizer": "adamw", "weight_decay": 0.025}


def latent_dim(spec: DataSpec) -> int:
    """Latent dimensions that fit an example of this size."""
    if len(spec.shape) == 1:
        return max(2, min(16, spec.shape[0] // 2))
    return 40 if numel(spec.shape) >= 256 else 16


def network(spec: DataSpec) -> str:
    """The kind of network: convolutions for pictures and signals that are large enough, layers of units otherwise."""
    return "conv" if suits_convolutions(spec.shape) else "mlp"


def noise(spec: DataSpec) -> Values:
    """The likelihood of the lectures for these data: Bernoulli for binary ones, Normal with a fixed sigma otherwise.

    Of counts, which vary more than those of independent events, it is the negative binomial one.
    """
    if spec.effective_kind == "binary":
        return {"kind": "bernoulli"}
    if spec.kind == "counts":
        return {"kind": "negative-binomial", "dispersion": "shared"}
    return {"kind": "normal", "scale": 0.3 if spec.kind == "real" else 0.1}


def told(spec: DataSpec) -> Values:
    """What a model is told of each example: its attributes, where it has some, or else its class."""
    return {"kind": "vector" if "attributes" in spec.widths else "classes"}


def variational(spec: DataSpec, likelihood: Values) -> Values:
    """A VAE with a Normal posterior and prior, trained by the ELBO; convolutions with decoupled weight decay."""
    kind = network(spec)
    return {
        "model": {
            "kind": "flat",
            "latent_dim": latent_dim(spec),
            "encoder": {"kind": kind},
            "posterior": {"kind": "normal"},
            "prior": {"kind": "normal"},
            "decoder": {"kind": kind},
            "likelihood": likelihood,
            "kl": "auto",
            "corruption": None,
        },
        "objective": {"kind": "elbo", "warmup": 0.05},
        "train": DECAY if kind == "conv" else {},
    }


def autoencoder(spec: DataSpec) -> Values:
    """A plain autoencoder: a code without noise, and the squared error, or of counts their likelihood."""
    error = noise(spec) if spec.kind == "counts" else {"kind": "reconstruction", "distance": "l2"}
    values = variational(spec, error)
    values["model"] |= {"posterior": {"kind": "point"}, "prior": None}
    return values | {"objective": {"kind": "elbo"}, "train": {}}
