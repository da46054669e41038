"""Autoencoders that turn pictures into small maps of codes, for models of those codes."""

import math
from typing import Any

from reparam.data import DataSpec
from reparam.networks import map_grid
from reparam.recipes.building import Recipe, Values, network, variational
from reparam.recipes.games import PLAY
from reparam.recipes.quantised import quantised

CHANNELS = [32, 64, 128]  # three stages: one position of the map for each 8 x 8 pixels
PATCHES = [32, 64]
NUMBERS = 4
TRAIN = PLAY | {"batch_size": 16, "learning_rate": 5e-4}  # one picture teaches all positions of its map


def autoencoder_kl(spec: DataSpec) -> Values:
    """Image tokenizer: a map of numbers held near N(0, 1), judged by features and, later, by a critic of patches.

    One position stands for 8 x 8 pixels and has four numbers; ``model.encoder.channels`` and ``model.decoder.channels``
    with one stage more or less halve or double the map (set ``model.latent_dim`` to its positions times the numbers of
    each). Its samples need a density of the codes: ``--sampler flow-matching``.

    Source:
        High-resolution image synthesis with latent diffusion models (Rombach et al., 2022), arXiv:2112.10752, appendix
        G.
    """
    values = variational(spec, {"kind": "perceptual"})
    if network(spec) == "conv":
        part: dict[str, Any] = {"kind": "map", "channels": CHANNELS}
        grid = map_grid(spec.shape, CHANNELS)
        values["model"] |= {"encoder": part, "decoder": part, "latent_dim": math.prod(grid) * NUMBERS}
    return values | {"objective": _game(spec), "train": TRAIN}


def vq_gan(spec: DataSpec) -> Values:
    """Image tokenizer with codes from a learned table, judged by features and, later, by a critic of patches.

    Source:
        Taming transformers for high-resolution image synthesis (Esser et al., 2021), arXiv:2012.09841.
    """
    values = quantised(spec, {"kind": "vq", "codes": 512}, code_dim=16, channels=CHANNELS)
    values["model"]["likelihood"] = {"kind": "perceptual"}
    return values | {
        "objective": _game(spec) | {"beta": 1.0},
        "train": TRAIN | {"ema": 0.0},
    }


def _game(spec: DataSpec) -> Values:
    critic: Values = {"start": 0.3}
    if network(spec) == "conv":
        critic |= {"patches": True, "channels": PATCHES}
    return {"kind": "reconstruction-gan", "critic": critic}


TOKENIZERS: dict[str, Recipe] = {"autoencoder-kl": autoencoder_kl, "vq-gan": vq_gan}
