"""Grids of pictures, drawn with Pillow alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from reparam.report.theme import SHARPNESS, Picture, Theme, in_both

_GAP = 2 * SHARPNESS
_FONT_SIZE = 13 * SHARPNESS
_LINE = 18 * SHARPNESS
_PIXEL_FOR_PIXEL = 40


@dataclass(frozen=True)
class Labels:
    """What is written and marked around a grid.

    Attributes:
        rows: One text to the left of each row, or nothing.
        columns: One text above each column, or nothing; empty texts leave a gap.
        framed: Columns whose pictures get a coloured frame.
    """

    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    framed: Sequence[int] = field(default=())


def to_pixels(pictures: Tensor, low: float = 0.0, high: float = 1.0) -> NDArray[np.uint8]:
    """Turns pictures into bytes: low is black, high is white, values beyond are clamped, NaN becomes black.

    One channel is shown as grey and three as red, green, blue; of any other number the mean over channels is shown.

    Shapes:
        pictures: (..., C, H, W)  ->  (..., H, W, 3)
    """
    x = pictures.detach().float().cpu()
    if x.shape[-3] not in (1, 3):
        x = x.mean(-3, keepdim=True)
    scaled = ((x - low) / max(high - low, 1e-12)).nan_to_num(0.0).clamp(0, 1).mul(255).round()
    bytes_ = scaled.movedim(-3, -1).expand(*scaled.shape[:-3], *scaled.shape[-2:], 3)
    return bytes_.numpy().astype(np.uint8)


def image_grid(
    pictures: Tensor,
    labels: Labels | None = None,
    *,
    low: float = 0.0,
    high: float = 1.0,
    width: int = 940,
    tile: int = 56,
) -> Picture:
    """Lays pictures out in rows and columns.

    Pictures of up to 40 pixels are enlarged by whole factors without smoothing, so that each pixel stays visible;
    larger ones are brought smoothly to the size asked for.

    Shapes:
        pictures: (R, N, C, H, W): R rows of N pictures

    Args:
        pictures: What to show.
        labels: Texts and marks around it.
        low: Value shown as black.
        high: Value shown as white.
        width: Widest the grid may become, in CSS pixels.
        tile: Size that the longer side of a picture is brought near to, in CSS pixels.
    """
    labels = labels or Labels()
    pixels = to_pixels(pictures, low, high)
    font = ImageFont.load_default(size=_FONT_SIZE)
    left = max((round(font.getlength(text)) for text in labels.rows), default=-3 * _GAP) + 3 * _GAP
    room = (width * SHARPNESS - left) // pixels.shape[1] - _GAP
    tiles = [[_resized(Image.fromarray(picture), min(room, tile * SHARPNESS)) for picture in row] for row in pixels]
    layout = _Layout(tiles, labels, left, _LINE if any(labels.columns) else 0)
    return in_both(lambda theme: layout.draw(font, theme), layout.width / SHARPNESS, layout.height / SHARPNESS)


def animated(
    frames: Tensor, *, low: float = 0.0, high: float = 1.0, side: int = 64, milliseconds: int = 200
) -> Picture:
    """Shows rows of pictures one after the other, without end.

    Shapes:
        frames: (S, N, C, H, W): S moments of N pictures

    Args:
        frames: What to show.
        low: Value shown as black.
        high: Value shown as white.
        side: Size that the longer side of a picture is brought near to, in pixels.
        milliseconds: How long each moment is shown; the last one five times as long.
    """
    sheets = []
    for row in to_pixels(frames, low, high):
        tiles = [_resized(Image.fromarray(picture), side) for picture in row]
        width, height = tiles[0].size
        sheet = Image.new("RGB", (len(tiles) * (width + _GAP) - _GAP, height), "white")
        for number, tile in enumerate(tiles):
            sheet.paste(tile, (number * (width + _GAP), 0))
        sheets.append(sheet)
    file = io.BytesIO()
    durations = [milliseconds] * (len(sheets) - 1) + [5 * milliseconds]
    sheets[0].save(file, "GIF", save_all=True, append_images=sheets[1:], duration=durations, loop=0)
    return Picture(file.getvalue(), file.getvalue(), *sheets[0].size, kind="gif")


def _resized(picture: Image.Image, target: int) -> Image.Image:
    """Enlarges a small picture by a whole factor, pixel for pixel, and brings a larger one smoothly to the target."""
    longer, target = max(picture.size), max(1, target)
    if longer <= min(target, _PIXEL_FOR_PIXEL):
        factor = target // longer
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    ratio = target / longer
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture.resize(size, Image.Resampling.BOX if ratio < 1 else Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class _Layout:
    """Where everything of a grid goes."""

    tiles: list[list[Image.Image]]
    labels: Labels
    left: int
    top: int

    @property
    def step(self) -> tuple[int, int]:
        wide, high = self.tiles[0][0].size
        return wide + _GAP, high + _GAP

    @property
    def width(self) -> int:
        return _even(self.left + len(self.tiles[0]) * self.step[0] + _GAP)

    @property
    def height(self) -> int:
        return _even(self.top + len(self.tiles) * self.step[1] + _GAP)

    def draw(self, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, theme: Theme) -> bytes:
        sheet = Image.new("RGB", (self.width, self.height), theme.paper)
        pen = ImageDraw.Draw(sheet)
        across, down = self.step
        for r, row in enumerate(self.tiles):
            for c, picture in enumerate(row):
                x, y = self.left + _GAP + c * across, self.top + _GAP + r * down
                edge, thick = (theme.second, _GAP) if c in self.labels.framed else (theme.line, 1)
                frame = (x - thick, y - thick, x + picture.width + thick - 1, y + picture.height + thick - 1)
                pen.rectangle(frame, fill=edge)
                sheet.paste(picture, (x, y))
        for r, text in enumerate(self.labels.rows):
            middle = self.top + _GAP + r * down + (down - _GAP) / 2
            pen.text((self.left - _GAP, middle), text, fill=theme.ink, font=font, anchor="rm")
        for c, text in enumerate(self.labels.columns):
            middle = self.left + _GAP + c * across + (across - _GAP) / 2
            pen.text((middle, self.top / 2), text, fill=theme.faint, font=font, anchor="mm")
        return _png(sheet)


def _even(pixels: int) -> int:
    """Rounded up to whole CSS pixels."""
    return -(-pixels // SHARPNESS) * SHARPNESS


def _png(sheet: Image.Image) -> bytes:
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()
