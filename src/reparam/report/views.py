"""How examples are shown: images as grids of pictures, signals and tables as lines.

A view answers the same questions for every kind of data; each answer is a list of drawings. A drawing comes with a
sentence that says how to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reparam.data.sequences import KEYS
from reparam.data.spec import DataSpec
from reparam.report.images import Labels, image_grid
from reparam.report.midi import midi
from reparam.report.plots import Line, Panel, agreement, histograms, line_panels
from reparam.report.theme import Picture
from reparam.shapes import is_image

_MOST_COLUMNS = 16
DIM = "latent dimension"
_NONE = np.empty(0)
_ROLLS, _WIDE = 3, 900


@dataclass(frozen=True)
class Drawing:
    """A picture and how to read it; a second drawing also has a suffix for its file name and a title of its own.

    Of music, ``music`` is a MIDI file of what the picture shows.
    """

    picture: Picture
    reading: str
    suffix: str = ""
    title: str = ""
    music: bytes = b""


class View(Protocol):
    """The questions about examples that a report has pictures for."""

    @property
    def noisy(self) -> bool:
        """True where samples are compared with data by their distribution: draws from p(x|z), and many of them."""

    def copies(self, rows: Sequence[tuple[str, Tensor]]) -> list[Drawing]:
        """Several versions of the same items: (name, (n, *data_shape)) each."""

    def samples(self, new: Tensor, data: Tensor) -> list[Drawing]:
        """New items beside data, (n, *data_shape) each."""

    def walks(self, names: Sequence[str], pictures: Tensor, marks: Sequence[str], of: str = DIM) -> list[Drawing]:
        """(R, T, *data_shape): what changes along each row, and what there is a row of."""

    def paths(self, starts: Tensor, pictures: Tensor, ends: Tensor) -> list[Drawing]:
        """Ways from starts (R, *data_shape) to ends over pictures (R, T, *data_shape)."""

    def plane(self, pictures: Tensor) -> list[Drawing]:
        """(S, S, *data_shape), laid out as the latent plane is."""


def view_of(spec: DataSpec, items: Tensor) -> View:
    """The view that fits these data."""
    if is_image(spec.shape):
        return ImageView(*_grey_range(spec, items))
    if len(spec.shape) == 2 and spec.kind == "binary":
        return RollView(items)
    return LineView(spec)


def ended(view: View, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Sequences (*N, D, T) for a view that draws them as lines: NaN behind their ends, where no line is drawn.

    Args:
        view: Other views show nothing there, and get x as it is.
        x: What is to be shown.
        lengths: Steps of each, over the first axes of x; None where all are as long.
    """
    if lengths is None or not isinstance(view, LineView):
        return x
    steps = lengths.reshape(*lengths.shape, *[1] * (x.ndim - lengths.ndim)).to(x.device)
    return x.masked_fill(torch.arange(x.shape[-1], device=x.device) >= steps, torch.nan)


def _grey_range(spec: DataSpec, items: Tensor) -> tuple[float, float]:
    """What is shown as black and as white: 0 and 1, or for real-valued images nearly the range of the items."""
    if spec.in_unit_interval:
        return 0.0, 1.0
    values = items.flatten().float()
    step = max(1, len(values) // 1_000_000)
    low, high = values[::step].quantile(torch.tensor([0.005, 0.995], device=values.device)).tolist()
    return low, high if high > low else low + 1.0


@dataclass(frozen=True)
class ImageView:
    """Shows images of any number of channels; ``low`` is black and ``high`` is white."""

    low: float = 0.0
    high: float = 1.0

    @property
    def noisy(self) -> bool:
        return False

    def copies(self, rows: Sequence[tuple[str, Tensor]]) -> list[Drawing]:
        names = [name for name, _ in rows]
        pictures = torch.stack([x[:12] for _, x in rows])
        picture = image_grid(pictures, Labels(rows=names), low=self.low, high=self.high)
        return [Drawing(picture, f"Rows from top to bottom: {', '.join(names)}. Each column is one item.")]

    def samples(self, new: Tensor, data: Tensor) -> list[Drawing]:
        columns = min(16, len(new))
        whole = new[: len(new) // columns * columns]
        pictures = whole.reshape(-1, columns, *new.shape[1:])
        reading = "Each picture is the mean of p(x|z), so noise of the pixels themselves is left out."
        return [Drawing(image_grid(pictures, low=self.low, high=self.high), reading)]

    def walks(self, names: Sequence[str], pictures: Tensor, marks: Sequence[str], of: str = DIM) -> list[Drawing]:
        picture = image_grid(pictures, Labels(rows=names, columns=marks), low=self.low, high=self.high, tile=44)
        return [
            Drawing(picture, f"One row for each {of}{'; its value grows from left to right' if of == DIM else ''}.")
        ]

    def paths(self, starts: Tensor, pictures: Tensor, ends: Tensor) -> list[Drawing]:
        whole = torch.cat([starts[:, None], pictures, ends[:, None]], dim=1)
        last = whole.shape[1] - 1
        middle = [f"{share:.0%}" for share in np.linspace(0, 1, last - 1)]
        labels = Labels(columns=["original", *middle, "original"], framed=(0, last))
        picture = image_grid(whole, labels, low=self.low, high=self.high, tile=64)
        return [Drawing(picture, "The framed pictures at both ends are originals; those between are decoded codes.")]

    def plane(self, pictures: Tensor) -> list[Drawing]:
        picture = image_grid(pictures, low=self.low, high=self.high, width=760, tile=36)
        return [Drawing(picture, "The first latent dimension grows to the right, the second upwards.")]


class RollView:
    """Shows sequences (D, T) of values that are on or off as rolls: time to the right, the last channel on top.

    Args:
        items: Some of the data; channels that are always off in all of them are left out. Those of 88 channels, the
            keys of a piano, can be heard too.
    """

    noisy = True

    def __init__(self, items: Tensor) -> None:
        used = items.flatten(0, -3).amax((0, -1)).nonzero().flatten()
        self.used = slice(int(used.min()), int(used.max()) + 1) if len(used) else slice(None)

    def _grid(self, x: Tensor, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> Picture:
        """Sequences (R, C, D, T) as a grid, dark on light."""
        rolls = 1 - x[..., self.used, :].flip(-2).unsqueeze(-3)
        return image_grid(rolls, Labels(rows=rows, columns=columns), tile=_WIDE // x.shape[1])

    def _heard(self, drawing: Drawing, x: Tensor, what: str) -> Drawing:
        """The drawing with its music: sequences (N, D, T) one after the other, where D are the keys of a piano."""
        if x.shape[-2] != KEYS:
            return drawing
        return replace(drawing, music=midi(x), reading=f"{drawing.reading} The music plays {what}.")

    def copies(self, rows: Sequence[tuple[str, Tensor]]) -> list[Drawing]:
        names = [name for name, _ in rows]
        shown = torch.stack([x[:_ROLLS] for _, x in rows])
        reading = f"Rows from top to bottom: {', '.join(names)}. Each column is one item."
        return [
            self._heard(
                Drawing(self._grid(shown, names), reading), shown.transpose(0, 1).flatten(0, 1), "column by column"
            )
        ]

    def samples(self, new: Tensor, data: Tensor) -> list[Drawing]:
        count = min(2 * _ROLLS, len(new) // _ROLLS * _ROLLS, len(data) // _ROLLS * _ROLLS) or min(len(new), len(data))
        both = torch.stack([new[:count], data[:count]]).unflatten(1, (-1, min(_ROLLS, count)))  # (2, R, C, D, T)
        rows = both.transpose(0, 1).flatten(0, 1)
        picture = self._grid(rows, ["sample", "original"] * (len(rows) // 2))
        return [
            self._heard(Drawing(picture, "Samples over originals of the same lengths."), new[:count], "the samples")
        ]

    def walks(self, names: Sequence[str], pictures: Tensor, marks: Sequence[str], of: str = DIM) -> list[Drawing]:
        every = max(1, (pictures.shape[1] - 1) // 2)
        picture = self._grid(pictures[:, ::every], names, marks[::every])
        return [
            Drawing(picture, f"One row for each {of}{'; its value grows from left to right' if of == DIM else ''}.")
        ]

    def paths(self, starts: Tensor, pictures: Tensor, ends: Tensor) -> list[Drawing]:
        middle = pictures[:, pictures.shape[1] // 2 :][:, :1]
        picture = self._grid(
            torch.cat([starts[:, None], middle, ends[:, None]], 1), (), ["original", "50%", "original"]
        )
        return [Drawing(picture, "Left and right are originals, in the middle the code between them, decoded.")]

    def plane(self, pictures: Tensor) -> list[Drawing]:
        return []


@dataclass(frozen=True)
class LineView:
    """Shows signals (C, T) over time, and rows of a table (D,) over their columns, in standard units."""

    spec: DataSpec

    @property
    def noisy(self) -> bool:
        return len(self.spec.shape) == 1

    def copies(self, rows: Sequence[tuple[str, Tensor]]) -> list[Drawing]:
        kinds = list(dict.fromkeys(_kind(name) for name, _ in rows))
        looks = {kind: Line(_NONE, color="second", style=":") for kind in kinds}
        looks[kinds[-1]] = Line(_NONE, color="accent")
        looks[kinds[0]] = Line(_NONE, color="faint", wide=True)
        named = {_kind(name): number for number, (name, _) in reversed(list(enumerate(rows)))}
        panels = []
        for item in range(min(6, len(rows[0][1]))):
            lines = []
            for number, (name, x) in enumerate(rows):
                kind = _kind(name)
                label = kind if item == 0 and named[kind] == number else ""
                lines += self._lines(x[item], replace(looks[kind], label=label))
            panels.append(self._panel(lines, f"item {item + 1}"))
        names = ", ".join(kinds)
        drawings = [
            Drawing(
                line_panels(panels, 2),
                f"One panel for each item; lines: {names}; the wide pale one is the original. {self._axis}",
            )
        ]
        original, output = (self._standard(x).flatten().numpy() for x in (rows[0][1], rows[-1][1]))
        every = max(1, len(original) // 3000)
        dots = agreement(original[::every], output[::every], rows[0][0], rows[-1][0])
        return [
            *drawings,
            Drawing(dots, "One dot for each value; dots on the diagonal are exact.", "agreement", "Value by value"),
        ]

    def samples(self, new: Tensor, data: Tensor) -> list[Drawing]:
        if len(self.spec.shape) > 1:
            panels = [
                self._panel(self._lines(x, Line(_NONE, color=color)), f"{name} {number + 1}")
                for number in range(min(4, len(data), len(new)))
                for x, name, color in ((data[number], "original", "faint"), (new[number], "sample", "accent"))
            ]
            return [Drawing(line_panels(panels, 2, height=200), "Left: originals. Right: samples, as means of p(x|z).")]
        widest = _table(data).std(0).argsort()[::-1] if self._columns > _MOST_COLUMNS else np.arange(self._columns)
        chosen = np.sort(widest[:_MOST_COLUMNS])
        names = [self._names[column] for column in chosen]
        drawn = histograms(_table(data)[:, chosen], _table(new)[:, chosen], names, ("data", "samples"))
        which = "" if len(chosen) == self._columns else f" The {len(chosen)} columns that vary most are shown."
        return [Drawing(drawn, f"One panel for each column, in its own units.{which}")]

    def walks(self, names: Sequence[str], pictures: Tensor, marks: Sequence[str], of: str = DIM) -> list[Drawing]:
        last = max(1, len(marks) - 1)
        panels = [
            self._panel([line for t, x in enumerate(row) for line in self._lines(x, Line(_NONE, color=t / last))], name)
            for name, row in zip(names, pictures, strict=True)
        ]
        reading = f"One panel for each {of}; dark lines: {marks[0]}, bright lines: {marks[-1]}. {self._axis}"
        return [Drawing(line_panels(panels, 2, height=200), reading)]

    def paths(self, starts: Tensor, pictures: Tensor, ends: Tensor) -> list[Drawing]:
        panels = []
        for number, (start, row, end) in enumerate(zip(starts, pictures, ends, strict=True)):
            between = [
                line for t, x in enumerate(row) for line in self._lines(x, Line(_NONE, color=t / (len(row) - 1)))
            ]
            names = ("original at the start", "original at the end") if number == 0 else ("", "")
            outer = [
                line
                for x, name, style in ((start, names[0], ":"), (end, names[1], "--"))
                for line in self._lines(x, Line(_NONE, label=name, color="ink", style=style))
            ]
            panels.append(self._panel(between + outer, f"pair {number + 1}"))
        reading = "Dotted and dashed: the two originals; between them the decoded codes, from dark to bright. "
        return [Drawing(line_panels(panels, 2, height=220), reading + self._axis)]

    def plane(self, pictures: Tensor) -> list[Drawing]:
        return []

    @property
    def _columns(self) -> int:
        return self.spec.shape[-1]

    @property
    def _names(self) -> list[str]:
        given = list(self.spec.columns)
        return given if len(given) == self._columns else [f"column {number}" for number in range(self._columns)]

    @property
    def _axis(self) -> str:
        what = "log(1 + n), in" if self.spec.kind == "counts" else "in"
        standard = f"Values are {what} standard deviations of the training data." if self._scaled else ""
        return standard if len(self.spec.shape) > 1 else f"Columns of the table from left to right. {standard}".strip()

    @property
    def _scaled(self) -> bool:
        return len(self.spec.scale) == self.spec.shape[0] == len(self.spec.shift)

    def _standard(self, x: Tensor) -> Tensor:
        """Standardises the last axes (C, T) or (D,) of x, on the CPU."""
        plain = x.detach().float().cpu()
        if not self._scaled:
            return plain
        plain = plain.clamp_min(0).log1p() if self.spec.kind == "counts" else plain
        ones = [1] * (len(self.spec.shape) - 1)
        shift, scale = (torch.tensor(values).reshape(-1, *ones) for values in (self.spec.shift, self.spec.scale))
        constant = scale <= 1e-5 * shift.abs().clamp_min(1.0)
        return (plain - shift) / torch.where(constant, torch.ones_like(scale), scale)

    def _lines(self, x: Tensor, look: Line) -> list[Line]:
        """One line for each of the first three channels, with the label on the first alone."""
        channels = self._standard(x).reshape(-1, x.shape[-1]).numpy()[:3]
        return [replace(look, y=y, label=look.label if channel == 0 else "") for channel, y in enumerate(channels)]

    def _panel(self, lines: list[Line], title: str) -> Panel:
        table = len(self.spec.shape) == 1
        ticks = self._names if table and self._columns <= 20 else ()
        x_label, y_label = "" if ticks else "column" if table else "time", "standard deviations" if self._scaled else ""
        return Panel(lines, title, x_label, y_label, None, ticks, legend_above=True)


def _kind(name: str) -> str:
    """What a row shows, without its number: all of ``continued 1`` to ``continued 5`` are drawn alike."""
    return name.rstrip(" 0123456789")


def _table(x: Tensor) -> NDArray[np.floating[Any]]:
    rows: NDArray[np.floating[Any]] = x.detach().float().cpu().numpy()
    return rows
