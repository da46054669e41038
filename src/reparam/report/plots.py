"""Plots, drawn with matplotlib's objects: no pyplot, no global settings, nothing left behind.

matplotlib is optional; :func:`require_matplotlib` raises MissingExtraError where it is not installed.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reparam.errors import MissingExtraError
from reparam.report.theme import SHARPNESS, Picture, Theme, in_both

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:  # matplotlib may not be installed, and whoever checks annotations when they run must find these names
    Axes = Figure = Any

Floats = NDArray[np.floating[Any]]
_DPI = 100
_MOST_POINTS = 160
_MOST_CLASSES = 20


@dataclass(frozen=True)
class Line:
    """One line of a plot.

    Attributes:
        y: Values; NaN leaves a gap.
        x: Where they lie; 0, 1, 2, ... where not given.
        label: Name in the legend; none where empty.
        color: ``accent``, ``second``, ``faint``, ``ink``, or a number from 0 to 1 on a colour scale.
        style: matplotlib's line style.
        marker: matplotlib's marker.
        wide: Draws a wide pale line, for another one to lie on.
    """

    y: Floats
    x: Floats | None = None
    label: str = ""
    color: str | float = "accent"
    style: str = "-"
    marker: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes with lines; ``limits`` are the y-range, ``ticks`` names below x = 0, 1, 2, ...

    The legend lies among the lines, or with ``legend_above`` beside a short title.
    """

    lines: Sequence[Line]
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    limits: tuple[float, float] | None = None
    ticks: Sequence[str] = ()
    legend_above: bool = False


def require_matplotlib() -> None:
    """Makes sure that plots can be drawn.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    try:
        import matplotlib.backends.backend_agg  # noqa: F401
    except ImportError:
        raise MissingExtraError("Drawing plots", "matplotlib", "plot") from None


def line_panels(panels: Sequence[Panel], columns: int = 1, width: float = 460, height: float = 260) -> Picture:
    """Draws panels of lines side by side, row by row; several panels share their ranges.

    Args:
        panels: What to draw.
        columns: Panels side by side.
        width, height: Size of one panel, in CSS pixels.
    """
    rows = math.ceil(len(panels) / columns)
    shared = _around(np.concatenate([line.y for panel in panels for line in panel.lines]), 0.05)
    across = _around(np.concatenate([_across(line) for panel in panels for line in panel.lines]), 0.05)
    many, foot = len(panels) > 1, 110 if any(panel.ticks for panel in panels) else 46

    def paint(figure: Figure, theme: Theme) -> None:
        for number, panel in enumerate(panels):
            axes = _axes(figure, theme, rows, columns, number)
            for line in panel.lines:
                _draw_line(axes, line, theme)
            _finish(axes, panel, theme, lowest=number + columns >= len(panels))
            if many:
                axes.set(xlim=across, ylim=shared)
                axes.tick_params(labelleft=number % columns == 0)
                axes.yaxis.label.set_visible(number % columns == 0)
        if many:
            _even(figure, rows, columns, foot, gap=(20, 34))

    return _drawn(paint, width * columns, height * rows + (foot if many else 0), fitted=not many)


def scatter_by_class(points: Floats, classes: NDArray[np.integer[Any]] | None, names: Sequence[str]) -> Picture:
    """Draws points on the plane, coloured by class, with a legend and each class's name at its median.

    Shapes:
        points: (N, 2); classes: (N,) numbers of ``names``, or None

    Beyond 20 classes the smaller ones share one colour.
    """

    def paint(figure: Figure, theme: Theme) -> None:
        axes = _axes(figure, theme, 1, 1, 0)
        size = 30.0 if len(points) < 100 else 16.0 if len(points) < 1000 else 9.0
        if classes is None:
            _dots(axes, points, size, color=theme.accent, alpha=0.6)
        else:
            _scatter_classes(axes, points, classes, names, size, theme)
        axes.set_aspect("equal", adjustable="datalim")

    return _drawn(paint, 760 if classes is not None else 620, 560)


def bars(
    values: Floats, names: Sequence[str], strong: Sequence[bool], legend: tuple[str, str], y_label: str
) -> Picture:
    """Draws bars in the order given; the strong ones are filled and the others are hatched outlines."""

    def paint(figure: Figure, theme: Theme) -> None:
        axes = _axes(figure, theme, 1, 1, 0)
        where, flags = np.arange(len(values)), np.asarray(strong, dtype=bool)
        if flags.any():
            axes.bar(where[flags], values[flags], color=theme.accent, label=legend[0])
        if not flags.all():
            weak: dict[str, Any] = {"facecolor": "none", "edgecolor": theme.faint, "hatch": "////", "linewidth": 0.6}
            axes.bar(where[~flags], values[~flags], label=legend[1], **weak)
        every = math.ceil(len(values) / 32)
        axes.set_xticks(where[::every], list(names)[::every], rotation=0 if len(values) <= 16 else 90)
        axes.set_xlim(-0.8, max(len(values), 4) - 0.2)
        axes.set_ylabel(y_label)
        _legend(axes, theme)

    return _drawn(paint, min(940, max(420, 24 * len(values) + 80)), 300)


def histograms(first: Floats, second: Floats, names: Sequence[str], labels: tuple[str, str]) -> Picture:
    """Draws one histogram for each column: the first table filled, the second as an outline.

    Shapes:
        first: (N, D); second: (M, D)
    """
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)

    def paint(figure: Figure, theme: Theme) -> None:
        for number, name in enumerate(names):
            axes = _axes(figure, theme, rows, columns, number)
            both = np.concatenate([first[:, number], second[:, number]])
            edges = np.linspace(*_around(both, 0.0), 31).tolist()
            filled: dict[str, Any] = {"color": theme.accent, "alpha": 0.45, "label": labels[0]}
            outline: dict[str, Any] = {"histtype": "step", "color": theme.second, "linewidth": 1.5, "label": labels[1]}
            axes.hist(first[:, number], bins=edges, density=True, **filled)
            axes.hist(second[:, number], bins=edges, density=True, **outline)
            axes.set_yticks([])
            _title(axes, name, theme)
            if number == 0:
                _legend(axes, theme)
        _even(figure, rows, columns, 30, gap=(14, 50))

    return _drawn(paint, max(420, 230 * columns), 190 * rows, fitted=False)


def agreement(original: Floats, output: Floats, x_label: str, y_label: str) -> Picture:
    """Draws outputs against originals, one dot a value, with the diagonal of perfect agreement."""

    def paint(figure: Figure, theme: Theme) -> None:
        axes = _axes(figure, theme, 1, 1, 0)
        ends = _around(np.concatenate([original.ravel(), output.ravel()]), 0.03)
        axes.plot(ends, ends, color=theme.second, linewidth=1.2, label="perfect agreement")
        _dots(axes, np.stack([original.ravel(), output.ravel()], axis=1), 7, color=theme.accent, alpha=0.35)
        axes.set(xlim=ends, ylim=ends, xlabel=x_label, ylabel=y_label, aspect="equal")
        _legend(axes, theme)

    return _drawn(paint, 420, 420)


def calm_limits(series: Sequence[Floats]) -> tuple[float, float] | None:
    """The y-range without the wild first steps: what the values do after the first tenth, and at the very end."""
    calm = [values[len(values) // 10 if len(values) >= 10 else 0 :] for values in series if len(values)]
    finite = [values[np.isfinite(values)] for values in calm]
    together = np.concatenate(finite) if finite else np.empty(0)
    if not together.size:
        return None
    low, high = np.quantile(together, [0.01, 0.99])
    ends = [values[-1] for values in finite if values.size]
    return _around(np.array([low, high, *ends]), 0.08)


def thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most 160 points of a long line, the means of equal stretches: less jitter, same course."""
    every = math.ceil(len(x) / _MOST_POINTS)
    if every <= 1:
        return x, y
    starts = np.arange(0, len(x), every)
    sizes = np.diff(np.append(starts, len(x)))
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes


def _around(values: Floats, margin: float) -> tuple[float, float]:
    """Smallest and largest finite value, moved apart by a share of their distance, never equal."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = margin * (high - low)
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):
        room = 0.05 * max(1.0, abs(low))
    return low - room, high + room


def _drawn(paint: Callable[[Figure, Theme], None], width: float, height: float, fitted: bool = True) -> Picture:
    """Paints on a new figure of this size, in CSS pixels; ``fitted`` makes room for every label."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def draw(theme: Theme) -> bytes:
        size = (width / _DPI, height / _DPI)
        figure = Figure(
            figsize=size, dpi=_DPI * SHARPNESS, facecolor=theme.paper, layout="constrained" if fitted else None
        )
        canvas: Any = FigureCanvasAgg(figure)
        paint(figure, theme)
        with warnings.catch_warnings():
            # A name in a script that the font lacks shows boxes; that is bearable.
            warnings.simplefilter("ignore", UserWarning)
            canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        return _small_png(Image.fromarray(np.ascontiguousarray(pixels)))

    return in_both(draw, width, height)


def _small_png(picture: Image.Image) -> bytes:
    """A PNG with a palette, a third of the size: a plot has few colours."""
    file = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(file, "PNG", optimize=True)
    return file.getvalue()


def _axes(figure: Figure, theme: Theme, rows: int, columns: int, number: int) -> Axes:
    axes = figure.add_subplot(rows, columns, number + 1)
    axes.set_facecolor(theme.paper)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.line)
    axes.tick_params(colors=theme.faint, labelsize=9, labelcolor=theme.faint)
    axes.xaxis.label.set_color(theme.faint)
    axes.yaxis.label.set_color(theme.faint)
    axes.locator_params(nbins=6)
    axes.grid(color=theme.line, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    return axes


def _even(figure: Figure, rows: int, columns: int, foot: float, gap: tuple[float, float]) -> None:
    """Sets panels at even distances, in CSS pixels: far faster than asking each label for its size."""
    width, height = (float(inches) * _DPI for inches in figure.get_size_inches())
    left, right, top = 80.0, 12.0, 30.0
    wide, high = (width - left - right + gap[0]) / columns - gap[0], (height - top - foot + gap[1]) / rows - gap[1]
    place = {"left": left / width, "right": 1 - right / width, "top": 1 - top / height, "bottom": foot / height}
    figure.subplots_adjust(**place, wspace=gap[0] / wide, hspace=gap[1] / high)


def _finish(axes: Axes, panel: Panel, theme: Theme, lowest: bool) -> None:
    _title(axes, panel.title, theme)
    axes.set_ylabel(panel.y_label, parse_math=False)
    if panel.limits:
        axes.set_ylim(*panel.limits)
    if not lowest:
        axes.tick_params(labelbottom=False)
    else:
        axes.set_xlabel(panel.x_label, parse_math=False)
    if panel.ticks:
        names = [_short(name, 14) if lowest else "" for name in panel.ticks]
        axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 6 else 0, parse_math=False)
    named = sum(bool(line.label) for line in panel.lines)
    if named > 1:
        above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": named, "borderaxespad": 0.0}
        _legend(axes, theme, **(above if panel.legend_above else {}))


def _title(axes: Axes, text: str, theme: Theme) -> None:
    axes.set_title(_short(text, 40), fontsize=10, color=theme.ink, loc="left", parse_math=False)


def _legend(axes: Axes, theme: Theme, **place: Any) -> None:
    legend = axes.legend(fontsize=9, frameon=False, labelcolor=theme.ink, **place)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _across(line: Line) -> Floats:
    """Where the values of a line lie."""
    return np.arange(float(len(line.y))) if line.x is None else line.x


def _draw_line(axes: Axes, line: Line, theme: Theme) -> None:
    marker = line.marker or ("." if np.isfinite(line.y).sum() < 3 else "")
    look: dict[str, Any] = {"linestyle": line.style, "marker": marker or "None", "markersize": 4, "linewidth": 1.3}
    if line.wide:
        look |= {"linewidth": 5, "alpha": 0.35, "solid_capstyle": "round"}
    axes.plot(_across(line), line.y, color=_color(line.color, theme), label=_visible(line.label) or "_", **look)


def _color(color: str | float, theme: Theme) -> Any:
    from matplotlib import colormaps

    if isinstance(color, str):
        return getattr(theme, color, color)
    return colormaps["viridis"](0.15 + 0.75 * color)


def _scatter_classes(
    axes: Axes,
    points: Floats,
    classes: NDArray[np.integer[Any]],
    names: Sequence[str],
    size: float,
    theme: Theme,
) -> None:
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    numbers, counts = np.unique(classes[classes >= 0], return_counts=True)  # -1: not known
    shown = np.sort(numbers[np.argsort(-counts, kind="stable")][:_MOST_CLASSES])
    others = ~np.isin(classes, shown)
    if others.any():
        _dots(axes, points[others], size, color=theme.faint, alpha=0.35, label="all others")
    palette = colormaps["tab10" if len(shown) <= 10 else "tab20"]
    for place, number in enumerate(shown):
        mine, name = points[classes == number], _short(_class_name(names, int(number)), 24)
        _dots(axes, mine, size, color=palette(place), alpha=0.75, label=_visible(name))
        if len(shown) > 1 and len(name) <= 8:
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 11, "fontweight": "bold"}
            halo = [withStroke(linewidth=3, foreground=theme.paper)]
            x, y = np.median(mine, axis=0).tolist()
            axes.text(x, y, name, color=theme.ink, path_effects=halo, parse_math=False, **look)
    _legend(axes, theme, loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=2.0)


def _dots(axes: Axes, points: Floats, size: float, **look: Any) -> None:
    axes.scatter(points[:, 0], points[:, 1], s=size, linewidths=0, **look)


def _class_name(names: Sequence[str], number: int) -> str:
    return str(names[number]) if 0 <= number < len(names) else str(number)


def _visible(label: str) -> str:
    """A label that a legend shows: matplotlib hides those that begin with an underscore."""
    return f" {label}" if label.startswith("_") else label


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
