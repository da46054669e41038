"""``reparam list``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from reparam.cli.console import print_json, print_line, print_table
from reparam.cli.options import REPORTING, Reports

Row = dict[str, Any]
Rows = Sequence[Row]

_SECTION = re.compile(r"^(?:\.\. math::|\w+:$)", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?(?:\w+\.)*(\w+)`")


def list(  # noqa: A001 - the verb's name
    what: Literal["recipes", "data", "metrics", "parts", "samplers"],
    /,
    *,
    common: Reports = REPORTING,
) -> None:
    """Lists recipes and samplers with their papers, data by name, metrics, or parts with their settings and defaults.

    Args:
        what: What to list.
    """
    rows = _LISTS[what]()
    if common.json:
        print_json({what: rows})
    else:
        print_table([*rows[0]], [[_text(value) for value in row.values()] for row in rows])
        if what == "parts":
            print_line(
                "A recipe chooses some of these for the data at hand; the config.yaml of a run has all its values."
            )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "\n".join(f"{name} = {default}" for name, default in value.items())
    return str(value)


def _recipes() -> Rows:
    from reparam.recipes import RECIPES

    return [{"recipe": name} | _told(recipe) for name, recipe in RECIPES.items()]


def _samplers() -> Rows:
    from reparam.samplers import PRIOR, SAMPLERS

    own: Row = {"sampler": PRIOR, "meaning": "Draws from the model's own p(z).", "paper": "", "settings": {}}
    fitted = [{"sampler": name} | _told(kind.maker) | {"settings": kind.settings} for name, kind in SAMPLERS.items()]
    return [own, *fitted]


def _told(owner: Any) -> Row:
    """What a docstring says before its formula and its sections, and the source it names."""
    meaning, _, source = inspect.cleandoc(owner.__doc__ or "").partition("Source:")
    return {"meaning": _one_line(_SECTION.split(meaning)[0]), "paper": _one_line(_ROLE.sub(r"\1", source))}


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _data() -> Rows:
    from reparam.data import describe_sources

    return describe_sources()


def _metrics() -> Rows:
    from reparam.evaluation import METRICS

    return [{"metric": name, "meaning": metric.meaning} for name, metric in METRICS.items()]


def _parts() -> Rows:
    from reparam.config import DataConfig
    from reparam.model_config import MODELS
    from reparam.parts import PARTS, WRAPPERS, settings_of
    from reparam.training import TrainSettings

    rows = []
    for section, kinds in PARTS.items():
        flag = "objective" if section == "objective" else f"model.{section}"
        for kind in kinds if section != "model" else ():
            if kind not in WRAPPERS:
                rows.append({"setting": flag, "kind": kind, "settings": _defaults(settings_of(section, kind))})
    models = [("model", kind, fields) for kind, fields in MODELS.items()]
    for flag, kind, owner in (*models, ("train", "", TrainSettings), ("data", "", DataConfig)):
        parameters = inspect.signature(owner).parameters
        own = {name: value for name, value in parameters.items() if name not in PARTS and name != "kind"}
        rows.append({"setting": flag, "kind": kind, "settings": _defaults(own)})
    return rows


def _defaults(parameters: Any) -> Row:
    """Each setting with its default; that of a part is the kind it stands for."""
    found = {name: parameter.default for name, parameter in parameters.items()}
    return {
        name: "(needed)" if default is inspect.Parameter.empty else getattr(default, "kind", default)
        for name, default in found.items()
    }


_LISTS: dict[str, Callable[[], Rows]] = {
    "recipes": _recipes,
    "data": _data,
    "metrics": _metrics,
    "parts": _parts,
    "samplers": _samplers,
}
