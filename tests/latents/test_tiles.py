"""Large pictures from tiles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reparam.errors import PartError, RefusedError, ShapeError
from reparam.latents import by_tiles, decode_by_tiles, encode_by_tiles, reconstruct_by_tiles
from reparam.recipes import build
from reparam.rng import reseed


def picture(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 30), st.integers(5, 30), st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_what_changes_nothing_gives_the_picture_back(height: int, width: int, overlap: float) -> None:
    x = picture(3, height, width)
    seen = []

    def same(tiles: Tensor) -> Tensor:
        seen.extend(tiles)
        return tiles

    assert torch.allclose(by_tiles(same, x, (4, 5), overlap), x, atol=1e-12)  # float64
    assert all(tile.shape == (3, 4, 5) for tile in seen)


def test_neighbours_fade_into_each_other() -> None:
    """Tiles that all differ by a constant: no step between pixels is larger than the ramp's."""
    numbers = iter(range(100))

    def shifted(tiles: Tensor) -> Tensor:
        return torch.stack([torch.full_like(tile, float(next(numbers))) for tile in tiles])

    made = by_tiles(shifted, picture(1, 8, 32), (8, 8), overlap=0.5)[0, 0]
    assert made[0] == 0
    assert made[-1] == next(numbers) - 1
    assert made.diff().max() <= 1 / 4 + 1e-9  # eight pixels a tile, half of them shared


def test_a_tile_of_the_models_size_is_reconstructed_as_ever() -> None:
    model = build("ae", torch.rand(12, 3, 8, 8)).eval()
    x = torch.rand(3, 8, 8)
    assert torch.allclose(reconstruct_by_tiles(model, x), model.reconstruct(x), atol=1e-6)
    large = torch.rand(2, 3, 20, 11)
    assert reconstruct_by_tiles(model, large).shape == large.shape
    assert torch.equal(reconstruct_by_tiles(model, large)[1], reconstruct_by_tiles(model, large[1]))
    assert reconstruct_by_tiles(model, large[:0]).shape == (0, 3, 20, 11)


def test_maps_of_codes_larger_than_those_of_the_model() -> None:
    reseed(0)
    model = build("autoencoder-kl", torch.rand(12, 3, 16, 16)).eval()
    rows = model.encoder.grid[0]
    x = torch.rand(3, 16, 16)
    z = encode_by_tiles(model, x)
    assert torch.allclose(z.permute(1, 2, 0).flatten(), model.encode(x), atol=1e-6)
    assert torch.allclose(decode_by_tiles(model, z), model.reconstruct(x), atol=1e-6)
    factor = 16 // rows
    large = torch.rand(3, 16 + 3 * factor, 40)
    codes = encode_by_tiles(model, large)
    assert codes.shape == (z.shape[0], rows + 3, 40 // factor)
    assert torch.allclose(
        codes[:, :1, :1], encode_by_tiles(model, large[:, :16, :16])[:, :1, :1], atol=1e-6
    )  # a corner
    assert decode_by_tiles(model, codes).shape == large.shape
    with pytest.raises(ShapeError, match=f"expected multiples of {factor} pixels"):
        encode_by_tiles(model, torch.rand(3, 17, 40))
    with pytest.raises(ShapeError, match=r"z is \(1, 9, 9\), expected"):
        decode_by_tiles(model, torch.rand(1, 9, 9))
    with pytest.raises(RefusedError, match="no map over squares"):
        encode_by_tiles(build("vae", torch.rand(12, 3, 16, 16)), x)


def test_refuses_what_makes_no_sense() -> None:
    model = build("ae", torch.rand(12, 3, 8, 8)).eval()
    with pytest.raises(ShapeError, match="is 7x20, smaller than a tile of 8x8"):
        reconstruct_by_tiles(model, torch.rand(3, 7, 20))
    with pytest.raises(ShapeError, match=r"Tiles of \(3, 8, 8\) do not make up items of \(1, 20, 20\)"):
        reconstruct_by_tiles(model, torch.rand(1, 20, 20))
    with pytest.raises(PartError, match=r"overlap is 0.7, expected a share from 0 to 0.5"):
        reconstruct_by_tiles(model, torch.rand(3, 20, 20), overlap=0.7)
