"""``reparam train``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from reparam.cli.failures import resumable
from reparam.cli.options import REPORTING, MaybeWhole, Reports
from reparam.cli.settings import CARRIER, ORIGIN, nested, origins
from reparam.errors import ConfigError


def train(
    recipe: Annotated[str | None, Parameter(name="RECIPE")] = None,
    /,
    *,
    data: str | None = None,
    config: Path | None = None,
    out: Path | None = None,
    epochs: MaybeWhole = None,
    max_minutes: float | None = None,
    report: bool = True,
    settings: Annotated[tuple[str, ...], Parameter(name=CARRIER, negative="", show_default=False)] = (),
    common: Reports = REPORTING,
) -> None:
    """Trains a recipe, judges the model on the test split, and writes a report.

    Args:
        recipe: A name from 'reparam list recipes'; vae where none is given.
        data: A name from 'reparam list data', or a path; digits where none is given.
        config: Settings in YAML, such as the config.yaml of a run; options win over it.
        out: The run folder; runs/RECIPE-DATA-TIME where none is given.
        epochs: Passes over the training data.
        max_minutes: Time for training; the schedule is made to fit.
        report: Write report.html.
        settings: Any setting by its place in config.yaml: --model.latent_dim 8, --model.encoder.channels 16,32,
            --objective.beta 4, --train.batch_size 64, --data.size 64. 'reparam list parts' names them all.
    """
    from reparam import runs
    from reparam.cli.ending import conclude
    from reparam.cli.progress import TrainingProgress
    from reparam.cli.reading import say_how_read
    from reparam.config import merged, read_yaml, with_networks

    flags = nested(settings)
    for section, key, value in (
        ("data", "source", data),
        ("train", "epochs", epochs),
        ("train", "max_minutes", max_minutes),
    ):
        if value is not None:
            flags.setdefault(section, {})[key] = value
    if common.seed is not None:
        flags["seed"] = common.seed
    over = merged(with_networks(read_yaml(config) if config else {}), with_networks(flags))
    chosen = _recipe(recipe, over.pop("recipe", None), config)
    folder = out or _new_folder(chosen, over)
    with resumable(folder):
        with origins(flags, config), TrainingProgress(folder) as progress:
            run = runs.train(
                chosen,
                over,
                out=folder,
                device=common.device,
                progress=progress,
                loaded=say_how_read,
                origin=ORIGIN,
            )
        conclude(run, folder, common, report)


def _recipe(given: str | None, written: Any, file: Path | None) -> str:
    """The recipe of the command line or of the file."""
    if written is not None and not isinstance(written, str):
        raise ConfigError(f"{file}: recipe: expected a name such as vae (got {written!r}).")
    if given and written and given != written:
        raise ConfigError(f"{file}: recipe: it is {written!r}, the command line says {given!r}. Leave one of them out.")
    return given or written or "vae"


def _source(over: dict[str, Any]) -> str | None:
    data = over.get("data")
    source = data.get("source") if isinstance(data, dict) else None
    return source if isinstance(source, str) else None


def _new_folder(recipe: str, over: dict[str, Any]) -> Path:
    data = Path(_source(over) or "digits").name.partition(".")[0]
    words = re.sub(r"[^a-z0-9]+", "-", f"{recipe}-{data}".lower()).strip("-")
    base = Path("runs") / f"{words}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    return next(path for path in _numbered(base) if not path.exists())


def _numbered(base: Path) -> Iterator[Path]:
    yield base
    number = 2
    while True:
        yield base.with_name(f"{base.name}-{number}")
        number += 1
