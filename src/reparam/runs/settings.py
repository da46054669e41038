"""The settings of a run: read from its folder, resolved for its data, or written down for a model made by hand."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import isclose
from pathlib import Path
from typing import Any

import torch

from reparam.composing import describe
from reparam.config import Config, merged, parse_config, read_yaml
from reparam.data import Data, DataSpec, load_data
from reparam.data.labels import relabelled, unknown_as
from reparam.data.raw import SPLITS
from reparam.data.tables import GROUP_COLUMNS
from reparam.errors import (
    ConfigError,
    DataError,
    DataNotFoundError,
    PartError,
    RunError,
    RunNotFoundError,
    UnknownNameError,
    nearest,
)
from reparam.evaluation.judged import require_labels, told_by_name
from reparam.files import replacing
from reparam.launch import launched
from reparam.models import Autoencoder
from reparam.objectives import AnyObjective
from reparam.parts import FROM_CONTEXT
from reparam.processes import take_own_gpu
from reparam.recipes import BY_HAND, decayed, parts_of, require_recipe, resolve
from reparam.training import read_metrics
from reparam.training.settings import CHANGEABLE
from reparam.trust import is_path, trusting

FROM_PYTHON = ""
ONCE_NAMES = ("-1", "nan")  # labels that are not known were once classes of these names
DEVICES = ("auto", "cpu", "cuda", "mps")


def write_text(path: Path, text: str) -> None:
    """Writes a file: complete, or as it was before."""
    with replacing(path) as aside:
        aside.write_text(text)


def choose_device(name: str | torch.device) -> torch.device:
    """``auto`` takes a GPU where there is one; of the processes that ``torchrun`` started, each takes its own.

    Raises:
        UnknownNameError: if the name is none of auto, cpu, cuda, mps, nor one of several GPUs, such as ``cuda:1``.
        RunError: if that device is not here.
    """
    kind, mark, number = str(name).partition(":")
    if kind not in DEVICES or (mark and (kind == "auto" or not number.isdecimal())):
        raise UnknownNameError(f"There is no device {str(name)!r}. {nearest(kind, DEVICES)}")
    here = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind == "auto":
        kind = next(device for device in ("cuda", "mps", "cpu") if here[device])
    if int(number or 0) >= here[kind]:
        raise RunError(f"This machine has no {name} device that PyTorch can use. Use --device cpu or auto.")
    if kind == "cuda" and launched():
        take_own_gpu()
        return torch.device(kind)
    return torch.device(kind, int(number)) if kind == "cuda" and number else torch.device(kind)


def own_data(config: Config, spec: DataSpec | None, given: Any = None) -> Data:
    """The data of a run, read and divided as when it began.

    Args:
        config: Where they were, and how they were read and divided.
        spec: What its model knows of them; None where that is not known.
        given: Where they are now, for data that were moved or given from Python: a name, a path or an object.
    Raises:
        RunError: if nobody says where they are.
        DataError: if they are not there, or others than the run's.
    """
    settings = config.data.model_dump()
    if spec and not settings["columns"] and any(column.lower() in GROUP_COLUMNS for column in spec.columns):
        settings["columns"] = spec.columns  # of a run from before there were groups
    if given is None:
        if not config.data.source:
            raise RunError(
                "This run was trained on data given from Python, which it does not hold. Give them again: data=..., on "
                "the command line --data SOURCE."
            )
        try:
            data = load_data(**settings)
        except DataNotFoundError:
            raise DataNotFoundError(
                f"The run's data, {config.data.source}, are not here. Say where they are: data=..., on the command "
                "line --data SOURCE."
            ) from None
    elif isinstance(given, Data):
        data = load_data(given, binarize=config.data.binarize)
    else:
        data = load_data(**settings | {"source": given})
    if spec is not None:
        data = _renumbered(data, spec, forgotten=config.data.labelled is not None)
        _require_same(data.spec, spec)
    return data


def _renumbered(data: Data, spec: DataSpec, forgotten: bool) -> Data:
    """The data with the run's numbers of the classes, as far as all of them are the run's.

    Args:
        data: As they are read now.
        spec: The run's.
        forgotten: Whether some labels were forgotten on purpose; the others that are not known were once a class.
    """
    try:
        parts = [relabelled(data.split(name), spec.classes) for name in SPLITS]
    except DataError:  # other data, of which the check says what is different
        return data
    once = [place for place, name in enumerate(spec.classes) if name in ONCE_NAMES]
    if once and not forgotten:
        parts = [unknown_as(part, once[0]) for part in parts]
    train, validation, test = parts
    return replace(data, train=train, validation=validation, test=test)


def _require_same(found: DataSpec, known: DataSpec) -> None:
    """Checks that data are those of the run, as far as their description tells.

    Raises:
        DataError: if it differs.
    """
    for name in ("shape", "kind", "levels", "divisor", "classes", "columns", "widths", "shift", "scale"):
        here, there = getattr(found, name), getattr(known, name)
        measured = name in ("shift", "scale") and len(here) == len(there)  # rounded otherwise on another machine
        if not (all(map(partial(isclose, rel_tol=1e-4, abs_tol=1e-6), here, there)) if measured else here == there):
            what = {"shift": "mean of the training split", "scale": "spread of the training split"}.get(name, name)
            raise DataError(
                f"These are not the run's data: their {what} is {str(here)[:80]}, the run's {str(there)[:80]}. Give "
                "those it was trained on; 'evaluate', 'score' and 'encode' take others."
            )


def told_by_names(model: Autoencoder, data: Data) -> Data:
    """The data with a model's own numbers of the classes; see :func:`~reparam.evaluation.judged.told_by_name`.

    Raises:
        DataError: if one of the classes is none of the model's.
        RefusedError: if the model must be told each, and some are not known.
    """
    train, validation, test = (told_by_name(model, data.split(name)) for name in SPLITS)
    for split in (train, validation, test):
        require_labels(model, split)
    return replace(data, train=train, validation=validation, test=test)


def read_config(folder: Path) -> Config:
    """The configuration of a run folder.

    Raises:
        RunNotFoundError: if it is none.
    """
    path = folder / "config.yaml"
    if not path.exists():
        raise RunNotFoundError(f"{folder} is no run folder (there is no config.yaml in it).")
    return parse_config(read_yaml(path), str(path))


def changed(config: Config, over: Mapping[str, Any], origin: str) -> Config:
    """The configuration of a run that goes on with other settings.

    Raises:
        ConfigError: if a setting has a wrong value, or may not change because of what the checkpoint holds.
    """
    if not over:
        return config
    for name in ("epochs", "max_minutes"):
        if name in over.get("train", ()):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"resume: how long it goes on is told by {option}, in Python by {name}=.")
    found = parse_config(merged(config.model_dump(mode="json"), over), origin)
    others = {section: given for section, given in over.items() if section != "train"}
    fixed = [".".join((name, *given)[:2]) if isinstance(given, Mapping) else name for name, given in others.items()]
    fixed += [f"train.{name}" for name in over.get("train", ()) if name not in CHANGEABLE]
    if fixed:
        raise ConfigError(
            f"{origin}: {fixed[0]}: the run keeps the value that its checkpoint was made with. Beside epochs and "
            f"minutes these of train may change: {', '.join(CHANGEABLE)}."
        )
    return found


def require_more(folder: Path, epochs: int) -> None:
    """Checks that a new total of epochs is no fewer than were done.

    Raises:
        ConfigError: if it is.
    """
    rows = read_metrics(folder)
    done = rows[-1]["epoch"] if rows else 0
    if epochs < done:
        raise ConfigError(f"resume: {folder} has done {done:g} epochs, {epochs} is fewer. Give a greater total.")


def prepare(recipe: str, over: Mapping[str, Any], data: Any = None, origin: str = "settings") -> tuple[Config, Data]:
    """Loads the data that the settings name and resolves the recipe for them.

    Args:
        recipe: A recipe by name.
        over: The user's settings by section.
        data: Data, or anything ``load_data`` reads, instead of ``data.source``.
        origin: Where the settings came from, for error messages.
    Raises:
        ConfigError: if a setting is unknown or has a wrong value.
        DataError: if the data cannot be read.
    """
    require_recipe(recipe)
    if over.get("model", {}) is None:
        raise ConfigError(f"{origin}: model: null is a model that was built in Python. Leave it out for the recipe's.")
    if data is None:
        data = load_data(**(_data_settings(over, origin) | {"binarize": "none"}))
        if data.origin:  # where it was found, and what auto chose here, hold wherever the run goes on
            over = merged(over, {"data": {name: data.origin[name] for name in ("source", "stream")}})
    else:
        data = load_data(data)
        told = set(over.get("data") or {}) - {"binarize"}
        if told:
            raise ConfigError(f"{origin}: data.{min(told)}: the data are given already. Pass it to load_data instead.")
        over = merged({"data": {"source": FROM_PYTHON, **data.origin}}, over)
    config = resolve(recipe, data, over, origin)
    return config, load_data(data, binarize=config.data.binarize)


def _data_settings(over: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The data settings, checked before the recipe is known in full."""
    stub = {"recipe": "vae", "data": over.get("data") or {}, "model": None, "objective": "elbo"}
    return parse_config(stub, origin).data.model_dump()


def config_by_hand(
    data: Mapping[str, Any], objective: Mapping[str, Any] | str | None, settings: Mapping[str, Any], seed: int
) -> Config:
    """The configuration of a model that no recipe made."""
    values = {
        "recipe": BY_HAND,
        "data": data,
        "model": None,
        "objective": objective,
        "train": settings,
        "seed": seed,
    }
    return parse_config(values, "fit")


def config_of(
    model: Autoencoder,
    data: Data,
    objective: Mapping[str, Any] | str | None,
    settings: Mapping[str, Any],
    seed: int,
) -> Config:
    """The configuration of a model's training: as it was built or last trained, with the user's settings laid over it.

    It has no model, whose first weights no recipe gives again. The objective is the given one, the model's own, or else
    the ELBO. A model that no recipe made, or that was changed since, has none.
    """
    origin = {"source": FROM_PYTHON, **data.origin, "binarize": data.spec.binarize}
    built = getattr(model, "built", None)  # any model that fills a trace may be trained
    if built is None:
        return config_by_hand(origin, objective or "elbo", settings, seed)
    settings = decayed(built.train, settings) | dict(settings)
    with trusting(built.trust_code):
        config = config_by_hand(origin, objective or built.objective, settings, seed)
    return config.model_copy(update={"recipe": built.recipe_of(parts_of(model))})


def described(objective: AnyObjective) -> dict[str, Any] | None:
    """What config.yaml says of an objective, less what the model tells; None for one that is not ours."""
    try:
        found = describe(objective, "objective")
    except PartError:
        return None
    return None if is_path(found["kind"]) else {name: v for name, v in found.items() if name not in FROM_CONTEXT}
