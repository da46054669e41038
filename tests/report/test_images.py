"""Grids of pictures: pixels where they belong, clamped values, labels and frames."""

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reparam.report.images import Labels, image_grid, to_pixels
from reparam.report.theme import DARK, LIGHT, SHARPNESS, Picture


def opened(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def has_color(png: bytes, color: str) -> bool:
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return bool((opened(png) == wanted).all(-1).any())


def size_of(picture: Picture) -> tuple[int, int]:
    height, width, _ = opened(picture.light).shape
    return width, height


def test_values_are_clamped_between_black_and_white() -> None:
    x = torch.tensor([-3.0, 0.0, 0.5, 1.0, 7.0, float("nan"), float("inf")]).reshape(1, 1, 7)
    assert to_pixels(x)[0, :, 0].tolist() == [0, 0, 128, 255, 255, 0, 255]
    assert to_pixels(torch.tensor([[[-2.0, 0.0, 2.0]]]), low=-2, high=2)[0, :, 0].tolist() == [0, 128, 255]


def test_grey_color_and_other_channels_become_red_green_blue() -> None:
    color = torch.tensor([1.0, 0.0, 0.2]).reshape(3, 1, 1)
    assert to_pixels(color)[0, 0].tolist() == [255, 0, 51]
    assert to_pixels(torch.full((1, 1, 1), 0.2))[0, 0].tolist() == [51, 51, 51]
    assert to_pixels(torch.tensor([0.0, 1.0]).reshape(2, 1, 1))[0, 0].tolist() == [128, 128, 128]
    assert to_pixels(torch.zeros(5, 4, 3, 8, 6)).shape == (5, 4, 8, 6, 3)


def test_small_pictures_keep_every_pixel_as_a_block() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).reshape(1, 1, 1, 2, 2)
    picture = image_grid(x, tile=20)
    block = 10 * SHARPNESS
    corner = 2 * SHARPNESS
    shown = opened(picture.light)[corner : corner + 2 * block, corner : corner + 2 * block, 0]
    assert (shown == np.kron([[0, 255], [255, 0]], np.ones((block, block)))).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 20), (3, 64, 48), (3, 300, 200), (1, 1, 500)])
def test_a_grid_of_any_pictures_fits_the_page(shape: tuple[int, ...]) -> None:
    picture = image_grid(torch.rand(2, 12, *shape), Labels(rows=["original", "reconstruction"]))
    assert picture.width <= 945
    assert size_of(picture) == (picture.width * SHARPNESS, picture.height * SHARPNESS)


def test_many_columns_make_smaller_pictures() -> None:
    assert image_grid(torch.rand(1, 40, 1, 28, 28), width=400).width <= 405


def test_labels_take_room_and_frames_have_their_color() -> None:
    x = torch.full((2, 3, 1, 4, 4), 0.5)
    plain, rows = image_grid(x), image_grid(x, Labels(rows=["a", "a longer one"]))
    columns = image_grid(x, Labels(columns=["1", "", "3"]))
    framed = image_grid(x, Labels(framed=[2]))
    assert rows.width > plain.width
    assert columns.height > plain.height
    assert has_color(framed.light, LIGHT.second)
    assert not has_color(plain.light, LIGHT.second)


def test_by_night_the_paper_is_dark_and_the_pictures_are_the_same() -> None:
    x: Tensor = torch.full((1, 1, 1, 4, 4), 0.5)
    picture = image_grid(x)
    middle = opened(picture.light).shape[0] // 2
    assert has_color(picture.light, LIGHT.paper)
    assert has_color(picture.dark, DARK.paper)
    assert opened(picture.light)[middle, middle].tolist() == opened(picture.dark)[middle, middle].tolist() == [128] * 3
