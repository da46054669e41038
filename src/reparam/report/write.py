"""Writes the report of a run: figures and one page."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from reparam.arguments import checked
from reparam.data.records import Data
from reparam.data.spec import DataSpec
from reparam.errors import MissingExtraError, RunError
from reparam.evaluation import evaluating
from reparam.files import replacing
from reparam.launch import speaks
from reparam.report.figures import draw_sections
from reparam.report.numbers import balance, duration, headline_numbers, is_number, refusals
from reparam.report.page import Page, render
from reparam.report.plots import require_matplotlib
from reparam.report.story import Section
from reparam.report.subject import look_at
from reparam.runs import Run, frames
from reparam.shapes import readable


@checked
def write_report(run: Run, folder: str | Path | None = None, *, seed: int = 0) -> Path | None:
    """Writes ``report.html`` and ``figures/`` of a run: its training, its pictures, and what evaluation.json holds.

    Args:
        run: From ``train``, ``fit``, ``resume`` or ``open_run``.
        folder: Where to write, for a run that is kept in memory; its own folder where nothing is given.
        seed: Seeds the choice of items and every draw.

    Returns:
        Path of ``report.html``; None in all processes of ``torchrun`` but the first, which writes it.

    Raises:
        RunError: if there is no folder, or the run's data are not at hand.
    """
    if not speaks():
        return None
    folder = run.folder if folder is None else folder
    if folder is None:
        raise RunError("This run has no folder of its own, so say where: write_report(run, 'runs/first').")
    return write_page(
        folder,
        run.model,
        run.load_data(),
        config=run.config.model_dump(mode="json"),
        metrics=run.metrics,
        evaluation=run.evaluation,
        command=run.command or "a training from Python",
        seed=seed,
        film=None if run.folder is None else frames(run.folder, run.spec),
        ending=run.ending,
    )


def write_page(
    folder: str | Path,
    model: Any,
    data: Data,
    *,
    config: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    command: str,
    seed: int = 0,
    film: tuple[list[int], Tensor] | None = None,
    ending: str = "",
) -> Path:
    """Writes ``figures/*`` and ``report.html``, one self-contained page, into a run folder.

    Args:
        folder: The run folder; made where it is not there.
        model: Answers infer, decode, reconstruct, sample, corrupt and trace.
        data: The run's data; the pictures show its test split, or another one where that is empty.
        config: The configuration of the run.
        metrics: Rows of ``metrics.jsonl``; may be empty.
        evaluation: ``evaluation.json``; keys that are missing leave their rows out.
        command: The command that made the run.
        seed: Seeds the choice of items and every draw.
        film: Steps of the training, and what the same codes were decoded to there, (S, N, C, H, W).
        ending: What the reader should know first of how the training ended, or nothing.

    Returns:
        Path of ``report.html``.
    """
    folder = Path(folder)
    with evaluating(model):
        sections = draw_sections(look_at(model, data, evaluation, seed), metrics, film, balance(metrics, config))
    _write_figures(folder / "figures", sections)
    page = Page(
        title=f"{config.get('recipe') or 'model'} on {data.spec.name}",
        lead=_lead(model, data.spec, metrics),
        numbers=headline_numbers(evaluation),
        numbers_caption=_numbers_caption(evaluation),
        notice=" ".join(filter(None, (ending, _notice()))),
        sections=sections,
        config=yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True),
        command=command,
        facts=_facts(seed),
    )
    path = folder / "report.html"
    with replacing(path) as aside:
        aside.write_bytes(render(page).encode("utf-8", errors="replace"))
    return path


def _write_figures(folder: Path, sections: Sequence[Section]) -> None:
    """Writes pictures and music, and removes those of an earlier report."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = [figure for section in sections for figure in section.figures]
    files = {f"{figure.name}.{figure.picture.kind}": figure.picture.light for figure in figures}
    files |= {f"{figure.name}.mid": figure.music for figure in figures if figure.music}
    for old in (path for ending in ("png", "gif", "mid") for path in folder.glob(f"*.{ending}")):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        with replacing(folder / name) as aside:
            aside.write_bytes(content)


def _notice() -> str:
    try:
        require_matplotlib()
    except MissingExtraError as reason:
        return f"The plots are left out. {reason} Then: reparam report RUN"
    return ""


def _lead(model: Any, spec: DataSpec, metrics: Sequence[Mapping[str, Any]]) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = [
        f"x {readable(spec.shape)}",
        f"{model.latent_dim} latent dimension{'s' if model.latent_dim > 1 else ''}",
        f"{parameters:,} parameters",
    ]
    for key, show in (("epoch", _epochs), ("wall_s", _trained)):
        values = [float(row[key]) for row in metrics if is_number(row.get(key))]
        if values:
            facts.append(show(max(values)))
    return " · ".join(facts)


def _epochs(value: float) -> str:
    return f"{value:.4g} epoch{'' if value == 1 else 's'}"


def _trained(seconds: float) -> str:
    return f"trained in {duration(seconds)}"


def _numbers_caption(evaluation: Mapping[str, Any]) -> str:
    if not evaluation:
        return ""
    split = evaluation.get("split", "test")
    over = f", averaged over {int(evaluation['n']):,} examples" if is_number(evaluation.get("n")) else ""
    names: dict[str, list[str]] = {}
    for name, reason in refusals(evaluation).items():
        names.setdefault(reason, []).append(name.replace("_", "-"))
    first = f"Measured on the {split} split{over}. One nat is 1.44 bits."
    if not headline_numbers(evaluation):
        first = f"Nothing could be measured on the {split} split."
    return " ".join([first, *(f"{', '.join(those)}: {reason}" for reason, those in names.items())])


def _facts(seed: int) -> dict[str, str]:
    now = datetime.now().astimezone()
    facts = {"Written": now.strftime("%Y-%m-%d %H:%M %Z").strip(), "Report seed": str(seed)}
    for package in ("reparam", "torch", "numpy"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts | {"Python": platform.python_version(), "System": f"{platform.system()} {platform.machine()}"}


def _plain(value: object) -> object:
    """Settings as YAML knows them: mappings, lists, texts, numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
