"""The HTML page: one file with everything in it, no scripts, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from PIL import Image

from reparam.report.numbers import Number
from reparam.report.story import Figure, Section

_WIDE = 520  # CSS pixels; on a phone a wider picture scrolls sideways instead of shrinking to a stamp
_HEAVY = 150_000  # bytes; a heavier picture goes into the page as JPEG
_TOO_HEAVY = 4_000_000  # bytes; a heavier film stays beside the page


@dataclass(frozen=True)
class Page:
    """All that stands on the page, as plain text; it is escaped here and nowhere else.

    Attributes:
        title: The heading.
        lead: One line below it.
        numbers: Rows of the table.
        numbers_caption: What the table is about, or why there is none; empty where nothing was evaluated.
        notice: Something the reader should know first, or nothing.
        sections: The figures.
        config: The configuration as YAML.
        command: The command that made the run.
        facts: Versions and dates, by name.
    """

    title: str
    lead: str
    numbers: Sequence[Number]
    numbers_caption: str
    notice: str
    sections: Sequence[Section]
    config: str
    command: str
    facts: Mapping[str, str]


def render(page: Page) -> str:
    """The whole page."""
    template = Template(files("reparam.report").joinpath("template.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(page.title),
        lead=escape(page.lead),
        notice=f'<p class="notice">{escape(page.notice)}</p>' if page.notice else "",
        contents="\n".join(_entry(section.name, section.title) for section in page.sections),
        numbers=_numbers(page),
        sections="\n".join(_section(section) for section in page.sections),
        config=escape(page.config),
        command=escape(page.command),
        facts="\n".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in page.facts.items()
        ),
    )


def _entry(name: str, title: str) -> str:
    return f'<li><a href="#{escape(name)}">{escape(title)}</a></li>'


def _numbers(page: Page) -> str:
    if not page.numbers and page.numbers_caption:
        return f'<p class="note">{escape(page.numbers_caption)}</p>'
    if not page.numbers:
        return '<p class="note">The run has not been evaluated yet: <code>reparam evaluate RUN</code>.</p>'
    rows = "\n".join(
        f'<tr><th scope="row">{escape(row.name)}</th><td class="value">{escape(row.value)}</td>'
        f'<td class="unit">{escape(row.unit)}</td><td class="meaning">{escape(row.meaning)}</td></tr>'
        for row in page.numbers
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Quantity", "Value", "Unit", "Meaning"))
    return (
        f"<table><caption>{escape(page.numbers_caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    )


def _section(section: Section) -> str:
    figures = "\n".join(_figure(figure) for figure in section.figures)
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    narrow = all(figure.picture.width <= _WIDE for figure in section.figures)
    many = " many" if narrow and len(section.figures) > 1 else ""
    return (
        f'<section id="{escape(section.name)}"><h2>{escape(section.title)}</h2>\n<p>{escape(section.intro)}</p>\n'
        f'{note}<div class="figures{many}">{figures}</div></section>'
    )


def _figure(figure: Figure) -> str:
    title = escape(figure.title)
    return "\n".join(
        (
            f'<figure id="figure-{escape(figure.name)}"><h3>{title}</h3>',
            f'<div class="scroll" tabindex="0" role="group" aria-label="{title}">{_shown(figure)}</div>',
            f"<figcaption>{escape(figure.caption)}{_music(figure)}</figcaption></figure>",
        )
    )


def _shown(figure: Figure) -> str:
    """The picture by day and by night; a film is the same by both, and stays outside where it is too heavy."""
    picture, moves = figure.picture, figure.picture.kind == "gif"
    if moves and len(picture.light) > _TOO_HEAVY:
        name, size = f"figures/{figure.name}.gif", f"{len(picture.light) / 1e6:.1f} MB"
        return f'<p class="note">{escape(name)} has {size}, too much for this page: open it beside it.</p>'
    inlined = _as_gif if moves else _as_jpeg if len(picture.light) > _HEAVY else _as_png
    dark = "" if moves else f'<source media="(prefers-color-scheme: dark)" srcset="{inlined(picture.dark)}">'
    wide = ' class="wide"' if picture.width > _WIDE else ""
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<picture>{dark}<img{wide} src="{inlined(picture.light)}" alt="{escape(figure.alt)}" {size}></picture>'


def _music(figure: Figure) -> str:
    """A link to the MIDI file, which is in the page itself."""
    if not figure.music:
        return ""
    name, content = escape(figure.name), base64.b64encode(figure.music).decode()
    return f' <a download="{name}.mid" href="data:audio/midi;base64,{content}">Listen: {name}.mid</a>'


def _as_png(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _as_gif(gif: bytes) -> str:
    return f"data:image/gif;base64,{base64.b64encode(gif).decode()}"


def _as_jpeg(png: bytes) -> str:
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(file, "JPEG", quality=82, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
