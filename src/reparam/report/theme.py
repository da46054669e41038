"""The colours of a report by day and by night, and the record of one drawn picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

SHARPNESS = 2  # pixels of a picture per CSS pixel, so that text stays crisp on fine screens


@dataclass(frozen=True)
class Theme:
    """Colours, as ``#rrggbb``; the page's style sheet uses the same ones."""

    paper: str
    ink: str
    faint: str
    line: str
    accent: str
    second: str


LIGHT = Theme(paper="#ffffff", ink="#1d2127", faint="#5b6470", line="#d5dae1", accent="#0b62c4", second="#c2500a")
DARK = Theme(paper="#171a1f", ink="#e6e9ee", faint="#9aa4b1", line="#3a414b", accent="#6cb0ff", second="#ff9f5a")


@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        light, dark: Files for a light and for a dark page.
        width, height: Size on the page, in CSS pixels.
        kind: What they are: ``png``, or ``gif`` for one that moves, the same on both pages.
    """

    light: bytes
    dark: bytes
    width: int
    height: int
    kind: Literal["png", "gif"] = "png"


def in_both(draw: Callable[[Theme], bytes], width: float, height: float) -> Picture:
    """Draws the same picture for a light and for a dark page."""
    return Picture(draw(LIGHT), draw(DARK), round(width), round(height))
