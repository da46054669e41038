"""What a report is told in: figures, sections, and what figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reparam.report.subject import Subject
from reparam.report.theme import Picture
from reparam.report.views import Drawing, View, ended


@dataclass(frozen=True)
class Figure:
    """One picture of a report, and its music where it has some: ``name`` is its file name without ending."""

    name: str
    title: str
    caption: str
    alt: str
    picture: Picture
    music: bytes = b""


@dataclass(frozen=True)
class Section:
    """A part of a report: a heading, what it is about, its figures, and a sentence on what is missing."""

    name: str
    title: str
    intro: str
    figures: tuple[Figure, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Story:
    """All that figures are drawn from."""

    subject: Subject
    view: View
    metrics: Sequence[Mapping[str, Any]]
    film: tuple[list[int], Tensor] | None = None
    balance: str = ""

    def ended(self, x: Tensor, chosen: slice | int | Tensor) -> Tensor:
        """What the view is to show of items that have the lengths of some of the subject's, (*N, *data_shape)."""
        lengths = self.subject.told.get("lengths")
        return ended(self.view, x, None if lengths is None else torch.as_tensor(lengths.flatten()[chosen]))


class NothingToDrawError(Exception):
    """There is nothing to draw; the message says why."""


def figures_of(name: str, title: str, caption: str, drawings: Sequence[Drawing]) -> list[Figure]:
    """A figure of each drawing; a second one has a name and a title of its own."""
    figures = []
    for number, drawing in enumerate(drawings):
        full = f"{name}-{drawing.suffix}" if drawing.suffix else name
        heading = drawing.title or title
        text = drawing.reading if drawing.title and number else f"{caption} {drawing.reading}"
        figures.append(Figure(full, heading, text, f"{heading}. {drawing.reading}", drawing.picture, drawing.music))
    return figures
