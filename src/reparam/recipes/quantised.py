"""VAEs whose latents are codes from a finite set."""

import math
from collections.abc import Sequence

from reparam.data import DataSpec
from reparam.networks import map_grid
from reparam.recipes.building import Recipe, Values, network, noise, variational
from reparam.shapes import numel

MANY_VALUES = 64


def vq_vae(spec: DataSpec) -> Values:
    """Codes from a learned table that follows the data, and a prior over them (PixelCNN where they form a grid).

    Source:
        Neural discrete representation learning (van den Oord et al., 2017), arXiv:1711.00937.
    """
    return quantised(spec, {"kind": "vq"}, code_dim=16)


def residual_vq_vae(spec: DataSpec) -> Values:
    """Sums of codes: each further table quantises what the ones before it left; all codes alike before data.

    Source:
        Autoregressive image generation using residual quantization (Lee et al., 2022), arXiv:2203.01941.
    """
    values = quantised(spec, {"kind": "residual-vq"}, code_dim=16)
    values["model"]["prior"] = {"kind": "uniform-codes"}
    return values


def fsq_vae(spec: DataSpec) -> Values:
    """Numbers rounded to a few levels each; every combination of levels is a code, without a table or a penalty.

    Source:
        Finite scalar quantization: VQ-VAE made simple (Mentzer et al., 2023), arXiv:2309.15505.
    """
    return quantised(spec, {"kind": "fsq", "code_levels": [8, 6, 5]}, code_dim=3)


def lfq_vae(spec: DataSpec) -> Values:
    """Signs of numbers; an entropy keeps all sign patterns in use.

    Source:
        Language model beats diffusion: tokenizer is key to visual generation (Yu et al., 2023), arXiv:2310.05737.
    """
    return quantised(spec, {"kind": "lfq"}, code_dim=8)


def quantised(spec: DataSpec, posterior: Values, code_dim: int, channels: Sequence[int] | None = None) -> Values:
    """A VAE with a code of so many numbers at each position of a map, or of a few groups for small examples.

    Weights are not averaged: codes fit the encoder of the moment.
    """
    values = variational(spec, noise(spec))
    if network(spec) == "conv":
        grid = map_grid(spec.shape, channels)
        network_of_maps: Values = {"kind": "map"} | ({"channels": list(channels)} if channels else {})
        part: Values = {"encoder": network_of_maps, "decoder": network_of_maps, "posterior": posterior}
    else:
        grid = (1, 8 if numel(spec.shape) >= MANY_VALUES else 4)
        part = {"posterior": posterior | {"grid": list(grid)}}
    prior = {"kind": "pixelcnn" if grid[0] > 1 else "transformer"}
    values["model"] |= part | {"latent_dim": math.prod(grid) * code_dim, "prior": prior}
    values["objective"] = {"kind": "elbo"}
    values["train"] = values.get("train", {}) | {"ema": 0.0}
    return values


QUANTISED: dict[str, Recipe] = {
    "vq-vae": vq_vae,
    "residual-vq-vae": residual_vq_vae,
    "fsq-vae": fsq_vae,
    "lfq-vae": lfq_vae,
}
