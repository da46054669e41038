"""How drawings are shown: strokes (dx, dy, pen) as lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from reparam.report.views import DIM, Drawing, ImageView, View

_SIDE, _FINER, _EDGE = 96, 3, 0.06
_FEW = 8


def drawing(strokes: Tensor) -> Tensor:
    """One drawing (3, T) as a picture (1, 96, 96), dark on light, as large as fits."""
    steps = strokes.detach().cpu().double().numpy()
    places = np.concatenate([np.zeros((2, 1)), np.cumsum(steps[:2], 1)], 1)
    used = np.flatnonzero(np.abs(steps).sum(0))
    last = used[-1] + 2 if len(used) else 1
    low, high = places[:, :last].min(1, keepdims=True), places[:, :last].max(1, keepdims=True)
    side = _SIDE * _FINER
    fit = (places - (low + high) / 2) / max(float((high - low).max()), 1e-9) * side * (1 - 2 * _EDGE) + side / 2
    picture = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(picture)
    for t in range(1, last):
        if t == 1 or steps[2, t - 2] < 0.5:  # the pen was not lifted after the last step
            pen.line([*fit[:, t - 1], *fit[:, t]], fill=30, width=_FINER + 2)
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(small, np.float32).copy() / 255).unsqueeze(0)


def drawings(x: Tensor) -> Tensor:
    """Drawings (*N, 3, T) as pictures (*N, 1, 96, 96)."""
    flat = x.reshape(-1, *x.shape[-2:])
    return torch.stack([drawing(one) for one in flat]).reshape(*x.shape[:-2], 1, _SIDE, _SIDE)


class SketchView(View):
    """Shows drawings as pictures of their lines."""

    noisy = True

    def __init__(self) -> None:
        self.pictures = ImageView()

    def copies(self, rows: Sequence[tuple[str, Tensor]]) -> list[Drawing]:
        return self.pictures.copies([(name, drawings(x[:_FEW])) for name, x in rows])

    def samples(self, new: Tensor, data: Tensor) -> list[Drawing]:
        reading = "Drawings that were drawn from p(x|z) step by step."
        shown = self.pictures.samples(drawings(new[:64]), drawings(data[:1]))
        return [Drawing(shown[0].picture, reading)]

    def walks(self, names: Sequence[str], pictures: Tensor, marks: Sequence[str], of: str = DIM) -> list[Drawing]:
        return self.pictures.walks(names, drawings(pictures), marks, of)

    def paths(self, starts: Tensor, pictures: Tensor, ends: Tensor) -> list[Drawing]:
        return self.pictures.paths(drawings(starts), drawings(pictures), drawings(ends))

    def plane(self, pictures: Tensor) -> list[Drawing]:
        return self.pictures.plane(drawings(pictures))
