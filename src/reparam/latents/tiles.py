"""Pictures larger than those a model was built for, tile by tile."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from reparam.errors import PartError, RefusedError, ShapeError
from reparam.latents.codes import HasLatents, decoded_means, home, posterior_means
from reparam.shapes import Shape, is_image

AT_ONCE = 32


class Reconstructs(Protocol):
    """What is asked of a model here."""

    @property
    def data_shape(self) -> Shape: ...

    def reconstruct(self, x: Tensor) -> Tensor: ...

    def parameters(self) -> Iterator[Parameter]: ...


def by_tiles(
    function: Callable[[Tensor], Tensor],
    picture: Float[Tensor, "C H W"],
    tile: tuple[int, int],
    overlap: float = 0.25,
    scale: tuple[int, int] = (1, 1),
) -> Float[Tensor, "D H2 W2"]:
    r"""Applies a function of small pictures to a large one: tiles that overlap, blended where they do.

    .. math:: y_p = \frac{\sum_t w_{t,p}\, f(x_t)_p}{\sum_t w_{t,p}}

    over the tiles t that hold pixel p. Weights fall linearly towards the edges of a tile over the part that overlaps,
    so that there is no seam.

    Args:
        function: Pictures (N, C, h, w) -> pictures of the same size, or of that which scale says.
        picture: At least as large as a tile.
        tile: Height h and width w.
        overlap: Least share of a tile's side that its neighbour covers too, from 0 to 0.5.
        scale: ``(8, 1)`` for a function that makes one pixel of 8 x 8, ``(1, 8)`` for one that does the reverse.
    Raises:
        ShapeError: if the picture is smaller than a tile, or its sides are no multiples of what one pixel is made of.
        PartError: if overlap is no share from 0 to 0.5.
    """
    if not 0 <= overlap <= 0.5:
        raise PartError(f"by_tiles: overlap is {overlap}, expected a share from 0 to 0.5.")
    height, width = picture.shape[1:]
    if height < tile[0] or width < tile[1]:
        raise ShapeError(
            f"The picture, or map, is {height}x{width}, smaller than a tile of {tile[0]}x{tile[1]}. Take a larger one, "
            "or the model as it is, without tiles."
        )
    before, after = scale
    if any(side % before for side in (height, width, *tile)):
        raise ShapeError(f"The picture is {height}x{width}, expected multiples of {before} pixels. Cut or pad it.")
    sides = [side // before for side in tile]
    places = [_starts(whole // before, side, overlap) for whole, side in zip((height, width), sides, strict=True)]
    corners = [(top, left) for top in places[0] for left in places[1]]
    weights = torch.outer(*(_falling(side * after, overlap) for side in sides)).to(picture)
    sum_of_weights = picture.new_zeros(height // before * after, width // before * after)
    total = sum_of_weights
    for first in range(0, len(corners), AT_ONCE):
        some = corners[first : first + AT_ONCE]
        read = [_square(corner, sides, before) for corner in some]
        done = function(torch.stack([picture[:, rows, columns] for rows, columns in read]))
        total = total.new_zeros(done.shape[1], *total.shape) if total.ndim == 2 else total
        for corner, made in zip(some, done, strict=True):
            rows, columns = _square(corner, sides, after)
            total[:, rows, columns] += weights * made
            sum_of_weights[rows, columns] += weights
    return total / sum_of_weights


@torch.no_grad()
def reconstruct_by_tiles(model: Reconstructs, x: Float[Tensor, "..."], overlap: float = 0.25) -> Float[Tensor, "..."]:
    """Reconstructs pictures larger than those a model was built for.

    Shapes:
        x: (C, H, W) or (B, C, H, W)  ->  the same
    Args:
        model: Has a ``data_shape`` and answers ``reconstruct``.
        x: One picture or several of one size, of any device.
        overlap: As in :func:`by_tiles`.
    Raises:
        ShapeError: if the model is not one of pictures, or x has other channels, or is smaller than a tile.
        PartError: if overlap is no share from 0 to 0.5.
    """
    shape = model.data_shape
    if not is_image(shape) or x.ndim not in (3, 4) or x.shape[-3] != shape[0]:
        raise ShapeError(
            f"Tiles of {tuple(shape)} do not make up items of {tuple(x.shape)}: expected (C, H, W) of both."
        )
    if x.ndim == 4:
        return torch.stack([reconstruct_by_tiles(model, one, overlap) for one in x]) if len(x) else x
    device = next(model.parameters()).device

    def function(tiles: Tensor) -> Tensor:
        return model.reconstruct(tiles.to(device)).to(tiles)

    return by_tiles(function, x, (shape[1], shape[2]), overlap)


class HasMap(HasLatents, Protocol):
    """A model whose code is a map, such as that of ``autoencoder-kl``."""

    encoder: nn.Module
    decoder: nn.Module


def _map_of(model: HasMap) -> tuple[int, int, int]:
    """Height and width of the map of codes, and the side in pixels of what one position stands for.

    Raises:
        RefusedError: if the code is no map, or does not stand for squares.
    """
    grids = [getattr(part, "grid", None) for part in (model.encoder, model.decoder)]
    shape = model.data_shape
    if grids[0] is not None and grids[0] == grids[1] and is_image(shape):
        (height, width), factor = grids[0], shape[1] // grids[0][0]
        if (height * factor, width * factor) == tuple(shape[1:]):
            return height, width, factor
    raise RefusedError(
        "The codes of this model are no map over squares of a picture, so they cannot be put together from tiles. Take "
        "a model with encoder and decoder 'map', such as 'autoencoder-kl', for pictures whose sides are multiples of 8."
    )


@torch.no_grad()
def encode_by_tiles(model: HasMap, x: Float[Tensor, "C H W"], overlap: float = 0.25) -> Float[Tensor, "D H2 W2"]:
    """The map of codes (posterior means) of a picture larger than those a model was built for.

    Shapes:
        x: (C, f H2, f W2), with f pixels on each side of what one position of the map stands for  ->  (D, H2, W2)
    Args:
        model: Encoder and decoder are ``map``, as those of ``autoencoder-kl``.
        x: One picture.
        overlap: As in :func:`by_tiles`.
    Raises:
        RefusedError: if the model's code is no map.
        ShapeError: if x has other channels, is smaller than a tile, or its sides are no multiples of f.
    """
    height, width, factor = _map_of(model)
    if x.ndim != 3 or x.shape[0] != model.data_shape[0]:
        raise ShapeError(f"encode_by_tiles: x is {tuple(x.shape)}, expected ({model.data_shape[0]}, H, W).")

    def function(tiles: Tensor) -> Tensor:
        z = posterior_means(model, tiles).to(tiles)
        return z.unflatten(1, (height, width, -1)).permute(0, 3, 1, 2)

    return by_tiles(function, x, (height * factor, width * factor), overlap, (factor, 1))


@torch.no_grad()
def decode_by_tiles(model: HasMap, z: Float[Tensor, "D H2 W2"], overlap: float = 0.25) -> Float[Tensor, "C H W"]:
    """The picture of a map of codes larger than those a model was built for.

    Shapes:
        z: (D, H2, W2)  ->  (C, f H2, f W2)
    Args:
        model: Encoder and decoder are ``map``, as those of ``autoencoder-kl``.
        z: One map, such as :func:`encode_by_tiles` gives.
        overlap: As in :func:`by_tiles`.
    Raises:
        RefusedError: if the model's code is no map.
        ShapeError: if z has other channels, or is smaller than a tile.
    """
    height, width, factor = _map_of(model)
    numbers = model.latent_dim // (height * width)
    if z.ndim != 3 or z.shape[0] != numbers:
        raise ShapeError(f"decode_by_tiles: z is {tuple(z.shape)}, expected ({numbers}, H, W).")

    def function(tiles: Tensor) -> Tensor:
        rows = tiles.permute(0, 2, 3, 1).flatten(1)
        return decoded_means(model, rows.to(home(model))).to(tiles)

    return by_tiles(function, z, (height, width), overlap, (1, factor))


def _square(corner: tuple[int, int], sides: Sequence[int], scale: int) -> tuple[slice, slice]:
    """Rows and columns of a tile, where one place has so many pixels on each side."""
    top, left = corner
    return slice(top * scale, (top + sides[0]) * scale), slice(left * scale, (left + sides[1]) * scale)


def _starts(whole: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin, evenly spaced from one end to the other."""
    step = max(1, math.floor(side * (1 - overlap)))
    count = 1 + math.ceil((whole - side) / step)
    return [round((whole - side) * number / max(1, count - 1)) for number in range(count)]


def _falling(side: int, overlap: float) -> Tensor:
    """Weights along one side, (side,): 1 in the middle, falling linearly over what overlaps."""
    place = torch.arange(side) + 0.5
    ramp = max(1.0, side * overlap)
    return (torch.minimum(place, side - place) / ramp).clamp_max(1.0)
