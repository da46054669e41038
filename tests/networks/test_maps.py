"""Networks that keep a map: each position sees its own part of x, and gives its own part of it back."""

import pytest
import torch

from reparam.errors import PartError
from reparam.networks import MapDecoder, MapEncoder, map_grid
from reparam.recipes import build
from reparam.rng import reseed
from reparam.shapes import Shape

SMALL = {"channels": (3, 4), "blocks": 1, "block": "plain"}


def test_a_vector_posterior_behind_a_map_encoder_reads_all_of_it() -> None:
    """Each position has a code of its own only where the decoder reads a map too."""
    x = torch.rand(9, 3, 16, 16)
    whole = build("vae", x, encoder={"kind": "map"})
    assert whole.latent_dim == 40
    assert whole.posterior.grid is None
    by_place = build("vae", x, encoder={"kind": "map"}, decoder={"kind": "map"}, latent_dim=128)
    assert by_place.posterior.grid == (8, 8)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((1, 28, 28), (7, 7)), ((3, 32, 32), (8, 8)), ((3, 64, 48), (8, 6)), ((1, 1, 40), (1, 5)), ((4, 33), (1, 5))],
)
def test_map_grid(shape: Shape, grid: tuple[int, int]) -> None:
    assert map_grid(shape) == MapEncoder(shape).grid == grid


def test_features_are_position_by_position() -> None:
    """What a far corner of x holds moves the features of positions near it alone."""
    reseed(0)
    encoder = MapEncoder((1, 32, 32), **SMALL).double()
    assert encoder.grid == (8, 8)
    x = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    moved = x.clone()
    moved[..., -1, -1] = 1
    changed = (encoder(moved) - encoder(x)).reshape(8, 8, -1).abs().sum(-1)
    assert changed[-1, -1] > 0
    assert changed[:4].eq(0).all()
    assert changed[:, :4].eq(0).all()


def test_codes_are_read_position_by_position() -> None:
    reseed(0)
    decoder = MapDecoder(8 * 8 * 2, (1, 32, 32), **SMALL).double()
    z = torch.zeros(1, 8, 8, 2, dtype=torch.float64)
    moved = z.clone()
    moved[0, -1, -1] = 1
    changed = (decoder(moved.flatten(1)) - decoder(z.flatten(1))).abs()[0, 0]
    assert changed[-4:, -4:].sum() > 0
    assert changed[:16].eq(0).all()
    assert changed[:, :16].eq(0).all()


def test_latent_dimensions_that_cannot_be_shared() -> None:
    with pytest.raises(PartError, match="latent_dim is 50, expected a multiple of 49: the map is 7 x 7"):
        MapDecoder(50, (1, 28, 28))
