"""Makes the README's picture from a run: ``python docs/make_picture.py RUN OUT.png``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import reparam

COLUMNS, TILE, GAP, MARGIN, TITLE = 12, 56, 4, 24, 40
PAPER, INK = (255, 255, 255), (40, 40, 40)


def tile(x: Tensor) -> Image.Image:
    """One example as a picture: dark ink on white for grey images, colours as they are."""
    levels = (x.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    picture = Image.fromarray((255 - levels[0]).numpy() if len(levels) == 1 else levels.permute(1, 2, 0).numpy())
    return picture.convert("RGB").resize((TILE, TILE), Image.Resampling.NEAREST)


def rows(run: reparam.Run) -> list[tuple[str, Sequence[Tensor]]]:
    """The panels: a title, and rows of images."""
    split = run.load_data().test.fixed(0).subset(COLUMNS, "picture")
    x = split.batch(slice(0, COLUMNS)).x
    with torch.no_grad():
        torch.manual_seed(0)
        first, last = x[:2], x[2:4]
        return [
            ("images it never saw, over their reconstructions", [x, run.model.reconstruct(x)]),
            ("new ones, drawn from the prior", list(run.model.sample(3 * COLUMNS).split(COLUMNS))),
            ("one turning into another", list(reparam.interpolate(run.model, first, last, steps=COLUMNS))),
        ]


def draw(panels: list[tuple[str, Sequence[Tensor]]]) -> Image.Image:
    """Lays the panels out below each other."""
    step = TILE + GAP
    height = MARGIN + sum(TITLE + step * len(images) for _, images in panels)
    page = Image.new("RGB", (2 * MARGIN + step * COLUMNS - GAP, height + MARGIN // 2), PAPER)
    pen, font, top = ImageDraw.Draw(page), ImageFont.load_default(size=18), MARGIN // 2
    for title, images in panels:
        pen.text((MARGIN, top + 8), title, fill=INK, font=font)
        top += TITLE
        for row in images:
            for column, x in enumerate(row):
                page.paste(tile(x), (MARGIN + step * column, top))
            top += step
    return page


def main() -> None:
    """Reads the arguments and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    draw(rows(reparam.open_run(given.run))).save(given.out, optimize=True)


if __name__ == "__main__":
    main()
