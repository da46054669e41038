"""VAEs of several observations of one thing, any of which may be missing."""

from reparam.data import DataSpec
from reparam.data.spec import Observation
from reparam.recipes.building import DECAY, Recipe, Values
from reparam.shapes import numel, suits_convolutions

LARGE = 256


def mvae(spec: DataSpec) -> Values:
    """Multimodal VAE: an expert for each observation, and the posterior of those that are there is their product.

    Source:
        Multimodal generative models for scalable weakly-supervised learning (Wu & Goodman, 2018), arXiv:1802.05335.
    """
    return _experts(spec, "product")


def mmvae(spec: DataSpec) -> Values:
    """Mixture-of-experts VAE: the posterior is the mixture of those of the observations that are there.

    Source:
        Variational mixture-of-experts autoencoders for multi-modal deep generative models (Shi et al., 2019),
        arXiv:1911.03393, with Normals and the ELBO.
    """
    return _experts(spec, "mixture")


def mopoe_vae(spec: DataSpec) -> Values:
    """Mixture-of-products-of-experts VAE: the posterior is the mixture of the products over all subsets.

    Source:
        Generalized multimodal ELBO (Sutter et al., 2021), arXiv:2105.02470.
    """
    return _experts(spec, "mixture-of-products")


def hybrid_vae(spec: DataSpec) -> Values:
    """Hybrid VAE: observations that may be missing are latents, guessed from those that are there.

    Classes and rows of numbers are guessed, all but the first observation; where there are none, such pictures as are
    not of 0 and 1. From a tenth of the training examples some
    observations are hidden when they are encoded, so that codes can be told from each of them alone. A value that is
    guessed weighs as much as all others together (``alpha``), or what is hidden would become a code of its own.

    Source:
        Hybrid VAE: improving deep generative models using partial observations (Tulyakov et al., 2017),
        arXiv:1711.11566.
    """
    others = spec.observations[1:]
    guessed = [one for one in others if one.kind == "classes" or _is_row(one)]
    guessed = guessed or [one for one in others if one.kind != "binary"]
    count = sum(numel(one.shape) for one in guessed)
    rest = sum(numel(one.shape) for one in spec.observations) - count
    values = _observed(spec)
    values["model"] |= {
        "kind": "hybrid",
        "posterior": {"kind": "normal"},
        "imputed": [one.name for one in guessed],
        "hidden": 0.1,
        "alpha": max(1.0, round(rest / max(1, count))),
    }
    return values


def _is_row(one: Observation) -> bool:
    return one.kind == "real" and len(one.shape) == 1


def _experts(spec: DataSpec, pooling: str) -> Values:
    values = _observed(spec)
    values["model"] |= {"kind": "multimodal", "posterior": {"kind": "experts", "pooling": pooling}, "hidden": 0.5}
    return values


def _observed(spec: DataSpec) -> Values:
    """A network and a likelihood for each observation; sigmas are learned, so that each finds its own weight."""
    own = spec.observations
    networks = {one.name: {"kind": "conv" if suits_convolutions(one.shape) else "mlp"} for one in own}
    noises: dict[str, Values] = {
        "binary": {"kind": "bernoulli"},
        "classes": {"kind": "one-hot"},
        "unit": {"kind": "normal", "scale": "learned"},
        "real": {"kind": "normal", "scale": "learned"},
    }
    model = {
        "latent_dim": 40 if any(numel(one.shape) >= LARGE for one in own) else 16,
        "encoders": networks,
        "decoders": networks,
        "likelihoods": {one.name: noises[one.kind] for one in own},
        "prior": {"kind": "normal"},
    }
    convolutions = any(network["kind"] == "conv" for network in networks.values())
    return {"model": model, "objective": {"kind": "elbo", "warmup": 0.05}, "train": DECAY if convolutions else {}}


OBSERVATIONS: dict[str, Recipe] = {
    "mvae": mvae,
    "mmvae": mmvae,
    "mopoe-vae": mopoe_vae,
    "hybrid-vae": hybrid_vae,
}
