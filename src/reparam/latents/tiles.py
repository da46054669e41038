"""Pictures larger than those a model was built for, tile by tile."""

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from reparam.errors import PartError, ShapeError
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
) -> Float[Tensor, "C H W"]:
    r"""Applies a function of small pictures to a large one: tiles that overlap, blended where they do.

    .. math:: y_p = \frac{\sum_t w_{t,p}\, f(x_t)_p}{\sum_t w_{t,p}}

    over the tiles t that hold pixel p. Weights fall linearly towards the edges of a tile over the part that overlaps,
    so that there is no seam.

    Args:
        function: Pictures (N, C, h, w) -> pictures of the same size.
        picture: At least as large as a tile.
        tile: Height h and width w.
        overlap: Least share of a tile's side that its neighbour covers too, from 0 to 0.5.
    Raises:
        ShapeError: if the picture is smaller than a tile.
        PartError: if overlap is no share from 0 to 0.5.
    """
    if not 0 <= overlap <= 0.5:
        raise PartError(f"by_tiles: overlap is {overlap}, expected a share from 0 to 0.5.")
    height, width = picture.shape[1:]
    if height < tile[0] or width < tile[1]:
        raise ShapeError(
            f"The picture is {height}x{width}, smaller than a tile of {tile[0]}x{tile[1]}. Reconstruct it whole, which "
            "resizes it."
        )
    corners = [(top, left) for top in _starts(height, tile[0], overlap) for left in _starts(width, tile[1], overlap)]
    weights = torch.outer(*(_falling(side, overlap) for side in tile)).to(picture)
    total, sum_of_weights = torch.zeros_like(picture), torch.zeros_like(picture[0])
    for first in range(0, len(corners), AT_ONCE):
        some = [
            (slice(top, top + tile[0]), slice(left, left + tile[1])) for top, left in corners[first : first + AT_ONCE]
        ]
        done = function(torch.stack([picture[:, rows, columns] for rows, columns in some]))
        for (rows, columns), made in zip(some, done, strict=True):
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
